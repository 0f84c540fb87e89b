"""The gateway over real sockets, with model services whose answers can be checked by eye."""

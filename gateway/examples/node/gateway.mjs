// A client of Diptych's gateway, made of the project's .proto files, and what a failed call says.
import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import grpc from '@grpc/grpc-js';
import protoLoader from '@grpc/proto-loader';

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));

const definition = protoLoader.loadSync(['diptych/gateway/v1/gateway.proto', 'google_rpc.proto'], {
  includeDirs: [path('../../../protos'), path('.')],
  longs: String, // a seed has 64 bits, a number of JavaScript 53
  enums: String,
  defaults: true,
  json: true, // google.protobuf.Any is decoded where its type is known: the error details
});
const { GatewayService } = grpc.loadPackageDefinition(definition).diptych.gateway.v1;

export const address = process.env.DIPTYCH_ADDRESS ?? '127.0.0.1:50051';

// The stub; its unary calls return promises.
export function connect(target = address) {
  const client = new GatewayService(target, grpc.credentials.createInsecure(), {
    'grpc.max_receive_message_length': 64 << 20, // grpc-js stops at 4 MiB by itself
  });
  const close = () => client.close();
  const stream = (request, seconds) => client.streamTextToImage(request, metadata(), options(seconds));
  const call = (method, request, seconds = 30) =>
    promisify(client[method].bind(client))(request, metadata(), options(seconds));
  return { call, stream, close };
}

// Every call gets a deadline: the servers then refuse at once what they cannot finish in time.
function options(seconds = 30) {
  return { deadline: Date.now() + seconds * 1000 };
}

// Who calls, and an id to find the call by in the servers' logs.
function metadata() {
  const entries = new grpc.Metadata();
  entries.set('x-request-id', randomUUID());
  entries.set('diptych-caller', 'node-example');
  return entries;
}

// Runs a program to its end: an error is one line, and the exit code 1.
export async function run(program) {
  const gateway = connect();
  try {
    await program(gateway);
  } catch (error) {
    const { code, reason, message, requestId } = explain(error);
    const told = [code, reason].filter(Boolean).join(', ');
    console.error(`error: ${told && `${told}: `}${message}${requestId ? ` (request ${requestId})` : ''}`);
    if (code === 'UNAVAILABLE' && !reason) console.error(`is a gateway running at ${address}? start one: diptych up`);
    process.exitCode = 1;
  } finally {
    gateway.close();
  }
}

// What a failed call says: code, message, the reason that programs may rely on, the field at fault,
// and how long to wait before trying again.
export function explain(error) {
  if (error.code === undefined || !(error.code in grpc.status)) return { message: error.message }; // no call's, such as ENOENT
  const [packed] = error.metadata?.get('grpc-status-details-bin') ?? [];
  const details = packed ? definition['google.rpc.Status'].deserialize(packed).details : [];
  const detail = (type) => details.find((each) => each['@type'].endsWith(`/google.rpc.${type}`));
  return {
    code: grpc.status[error.code],
    message: error.details,
    reason: detail('ErrorInfo')?.reason,
    field: detail('BadRequest')?.fieldViolations[0].field,
    retryDelay: detail('RetryInfo')?.retryDelay,
    requestId: error.metadata?.get('x-request-id')[0],
  };
}

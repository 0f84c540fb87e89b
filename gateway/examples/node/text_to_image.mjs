// Paints a text: one picture, then four, each written as soon as it is ready. Last, a request that is refused.
//
//   node text_to_image.mjs 'a black cat'
import { mkdirSync, writeFileSync } from 'node:fs';

import { explain, run } from './gateway.mjs';

const [prompt = 'a black cat', folder = 'out'] = process.argv.slice(2); // git ignores every folder `out`

await run(async (gateway) => {
  mkdirSync(folder, { recursive: true });

  const { images } = await gateway.call('textToImage', { prompt, seeds: ['7'] });
  for (const { image, seed, provenance } of images) {
    writeFileSync(`${folder}/picture-${seed}.png`, image.data);
    console.log(`${folder}/picture-${seed}.png: ${image.width} x ${image.height}, by ${provenance.generationModel.name}`);
  }

  const pictures = gateway.stream({ prompt, seeds: ['1', '2', '3', '4'], format: 'IMAGE_FORMAT_WEBP', quality: 80 });
  for await (const { index, image } of pictures) {
    writeFileSync(`${folder}/stream-${index}.webp`, image.image.data);
    console.log(`${folder}/stream-${index}.webp: seed ${image.seed}`);
  }

  try {
    await gateway.call('textToImage', { prompt, format: 'IMAGE_FORMAT_PNG', quality: 80 });
  } catch (error) {
    const { code, reason, field, message } = explain(error);
    console.log(`refused: ${code}, ${reason}, field ${field}: ${message}`);
  }
});

// Describes pictures, in Chinese unless another language is named.
//
//   node image_to_text.mjs out/picture-7.png zh
import { readFileSync } from 'node:fs';

import { run } from './gateway.mjs';

const [file = 'out/picture-7.png', language = 'zh'] = process.argv.slice(2);

await run(async (gateway) => {
  const { descriptions } = await gateway.call('imageToText', { images: [readFileSync(file)], language, candidates: 3 });
  for (const { captions, labels } of descriptions) {
    for (const { text, score } of captions) console.log(`caption: ${text} (${score.toFixed(2)})`);
    for (const { text, probability } of labels) console.log(`label: ${text} ${Math.round(100 * probability)} %`);
  }
});

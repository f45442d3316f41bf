// @magenta/sketch on TensorFlow.js's WebAssembly backend: reads a decoder from a file, then commands, one JSON a line.
//
//   node peer.js weights.bin units mixtures max_steps temperature
//
// weights.bin: float32 of (5 + H, 4H) gate weights, (4H) bias with the forget bias in it, (H, 3 + 6M) head weights, its
// bias, h, c and the first input. Commands: {"run": steps} answers with the nanoseconds they took; {"pdf": [inputs]}
// begins a drawing and answers with the parameters after each input, at temperature 1.

const fs = require('fs');
const path = require('path');
const readline = require('readline');
const { warn } = console;
console.warn = () => {};  // that there is more than one TensorFlow.js, which is of no matter
const tf = require('@tensorflow/tfjs-core');
const wasm = require('@tensorflow/tfjs-backend-wasm');

const { SketchRNN } = require('@magenta/sketch');
console.warn = warn;

// The library was written for a version that had these on every tensor.
for (const [name, op] of [['squeeze', tf.squeeze], ['div', tf.div], ['mul', tf.mul]]) {
  tf.Tensor.prototype[name] = function (...rest) { return op(this, ...rest); };
}

console.log = console.error;  // the library talks; answers go out by themselves
function say(answer) { process.stdout.write(JSON.stringify(answer) + '\n'); }

const [file, ...numbers] = process.argv.slice(2);
const [units, mixtures, maxSteps, temperature] = numbers.map(Number);

function parts(bytes) {
  const all = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  const outputs = 3 + 6 * mixtures;
  let at = 0;
  return [(5 + units) * 4 * units, 4 * units, units * outputs, outputs, units, units, 5]
    .map((size) => all.slice(at, (at += size)));
}

async function main() {
  wasm.setWasmPaths(path.join(path.dirname(require.resolve('@tensorflow/tfjs-backend-wasm/package.json')), 'dist') + '/');
  wasm.setThreadsCount(1);
  await tf.setBackend('wasm');
  await tf.ready();
  const [w, b, headW, headB, h, c, start] = parts(fs.readFileSync(file));
  const model = new SketchRNN('');
  model.NMIXTURE = mixtures;
  model.numUnits = units;
  model.info = { scale_factor: 1 };
  model.setPixelFactor(1);
  model.forgetBias = tf.scalar(0);
  model.lstmKernel = tf.tensor2d(w, [5 + units, 4 * units]);
  model.lstmBias = tf.tensor1d(b);
  model.outputKernel = tf.tensor2d(headW, [units, 3 + 6 * mixtures]);
  model.outputBias = tf.tensor1d(headB);

  let state, given, steps;
  function begin() {
    state = { c: c, h: h };
    given = Array.from(start);
    steps = 0;
  }
  function run(count) {
    const before = process.hrtime.bigint();
    for (let k = 0; k < count; k++) {
      state = model.update(given, state);
      given = model.sample(model.getPDF(state, temperature));
      if (given[4] === 1 || ++steps >= maxSteps) begin();
    }
    return Number(process.hrtime.bigint() - before);
  }
  function pdf(inputs) {
    begin();
    return inputs.map((one) => {
      state = model.update(one, state);
      const found = model.getPDF(state, 1);
      const sigmaY = found.sigmaY.slice(0, mixtures);  // the library's is too long
      return [found.pen, found.pi, found.muX, found.muY, found.sigmaX, sigmaY, found.corr].flatMap((v) => Array.from(v));
    });
  }

  begin();
  run(300);  // Node compiles what is called often
  say({ backend: tf.getBackend() });
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const asked = JSON.parse(line);
    say(asked.pdf ? pdf(asked.pdf) : run(asked.run));
    if (asked.pdf) begin();
  }
}

main().catch((error) => { console.error(error); process.exit(1); });

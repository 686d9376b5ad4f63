// Measures llama.cpp, through the node-llama-cpp package, on samples of one question behind a few-shot prompt, on the CPU.
//
//     npm install --ignore-scripts --omit=optional node-llama-cpp @node-llama-cpp/linux-x64   (in a scratch folder)
//     node peer_llama_cpp.mjs MODEL.gguf EXEMPLARS.json GSM8K.jsonl [SAMPLES=64] [NEW_TOKENS=64] [THREADS=2]
//
// The script has to lie in (or be linked into) the folder with node_modules. The prompt is that of peer_generate.py, the
// samples are drawn at temperature 0.5 and top_p 0.95, each of NEW_TOKENS tokens, all sequences in one batch. The package
// cannot share a prompt between sequences, which llama.cpp can: so the prompt is timed once, put into the other sequences
// off the clock, and the rate is that of one prompt and the decoding. Prints one JSON line.
import fs from "node:fs";
import {getLlama} from "node-llama-cpp";

const [modelPath, exemplarPath, questionPath, ...numbers] = process.argv.slice(2);
const [samples, newTokens, threads] = [64, 64, 2].map((standard, i) => Number(numbers[i] ?? standard));

const {exemplars} = JSON.parse(fs.readFileSync(exemplarPath, "utf8"));
const {question} = JSON.parse(fs.readFileSync(questionPath, "utf8").split("\n")[0]);
const shots = exemplars.map(shot => `Question: ${shot.question}\nAnswer: ${shot.rationale}`);
const prompt = [...shots, `Question: ${question}\nAnswer:`].join("\n\n");

const llama = await getLlama({gpu: false, build: "never", maxThreads: threads, progressLogs: false});
const model = await llama.loadModel({modelPath});
const tokens = model.tokenize(prompt);
const context = await model.createContext({
    sequences: samples,
    contextSize: tokens.length + newTokens + 8,
    batchSize: 512,
    threads: {ideal: threads, min: threads},
    batching: {dispatchSchedule: "nextCycle"}
});
const sequences = Array.from({length: samples}, () => context.getSequence());

const head = tokens.slice(0, -1);
const clock = performance.now();
await sequences[0].evaluateWithoutGeneratingNewTokens(head);
const prefill = (performance.now() - clock) / 1000;
await Promise.all(sequences.slice(1).map(sequence => sequence.evaluateWithoutGeneratingNewTokens(head)));

async function draw(sequence, seed) {
    let drawn = 0;
    const options = {temperature: 0.5, topP: 0.95, seed, yieldEogToken: true};
    for await (const _ of sequence.evaluate(tokens.slice(-1), options))
        if (++drawn === newTokens) break;
    return drawn;
}
const begin = performance.now();
const drawn = (await Promise.all(sequences.map(draw))).reduce((sum, count) => sum + count, 0);
const decoding = (performance.now() - begin) / 1000;
console.log(JSON.stringify({
    peer: "llama.cpp through node-llama-cpp", samples, prompt_tokens: tokens.length, generated_tokens: drawn, threads,
    prefill_tokens_per_second: tokens.length / prefill, decoding_tokens_per_second: drawn / decoding,
    tokens_per_second: drawn / (prefill + decoding)
}));
process.exit(0);

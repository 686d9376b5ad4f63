// Compares the token ids of check_real_models.py (`tokens`) with llama.cpp's, through the node-llama-cpp package.
//
//     npm install --ignore-scripts --omit=optional node-llama-cpp @node-llama-cpp/linux-x64   (in a scratch folder)
//     node check_llama_cpp_tokens.mjs MODEL.gguf TOKENS.tsv TEXTS.jsonl [TEXTS.jsonl ..]
//
// The script has to lie in (or be linked into) the folder with node_modules. The text files are those that
// TOKENS.tsv was made of, in the same order. Exit code 1 if any text differs.
import fs from "node:fs";
import {getLlama} from "node-llama-cpp";

const [modelPath, tablePath, ...textPaths] = process.argv.slice(2);

// FNV-1a, 64 bits, over the ids as little-endian u32.
function hash(ids) {
    let value = 0xcbf29ce484222325n;
    for (const id of ids)
        for (let shift = 0; shift < 32; shift += 8)
            value = ((value ^ BigInt((id >>> shift) & 255)) * 0x100000001b3n) & 0xffffffffffffffffn;
    return value.toString(16).padStart(16, "0");
}

const readLines = path => fs.readFileSync(path, "utf8").split("\n").filter(line => line !== "");
const table = readLines(tablePath).map(line => line.split("\t"));
const llama = await getLlama({gpu: false, build: "never", progressLogs: false});
const model = await llama.loadModel({modelPath, vocabOnly: true});

const differing = [];
let index = 0;
for (const path of textPaths) {
    for (const line of readLines(path)) {
        const record = JSON.parse(line);
        for (const field of ["question", "solution" in record ? "solution" : "answer"]) {
            const [file, row, name, , expected] = table[index++];
            if (name !== field) throw new Error(`${tablePath}: line ${index} is not of ${path}`);
            if (hash(model.tokenize(record[field], true)) !== expected) differing.push(`${file} ${row} ${name}`);
        }
    }
}
console.log(`${index} texts of ${table.length}; ${differing.length} differ from llama.cpp ${differing.slice(0, 5).join("; ")}`);
process.exit(differing.length > 0 || index !== table.length ? 1 : 0);

// Whether ONNX Runtime computes from an exported model what `penstock predict` does.
//
// node onnx_logits.js RUNTIME MODEL.onnx IMAGES.idx PREDICTIONS.json ROWS   prints the largest difference of the logits
// of the first ROWS images, as one batch and one by one; exit code 1 if it exceeds 1e-4.
"use strict";
const fs = require("fs");
const LARGEST = 1e-4;

// The pixels / 255 of the first `rows` images.
function readImages(path, rows) {
    const bytes = fs.readFileSync(path);
    const pixels = bytes.readUInt32BE(8) * bytes.readUInt32BE(12);
    const features = Float32Array.from(bytes.subarray(16, 16 + rows * pixels), (byte) => byte / 255);
    return { features, pixels };
}

async function main([runtime, model, images, predictions, rowsText]) {
    const ort = require(runtime);
    const rows = Number(rowsText);
    const { features, pixels } = readImages(images, rows);
    const ours = JSON.parse(fs.readFileSync(predictions, "utf8")).predictions;
    if (ours.length !== rows) throw new Error(`${ours.length} predictions, not ${rows}`);
    const session = await ort.InferenceSession.create(model);

    async function logits(first, count) {
        const data = features.slice(first * pixels, (first + count) * pixels);
        const output = await session.run({ images: new ort.Tensor("float32", data, [count, pixels]) });
        return output.logits.data;
    }

    const whole = await logits(0, rows);
    const classes = ours[0].logits.length;
    if (whole.length !== rows * classes) throw new Error(`${whole.length} logits, not ${rows * classes}`);
    let largest = 0;
    for (let row = 0; row < rows; row++) {
        const alone = row < 10 ? await logits(row, 1) : null;
        for (let c = 0; c < classes; c++) {
            const expected = ours[row].logits[c];
            largest = Math.max(largest, Math.abs(whole[row * classes + c] - expected));
            if (alone) largest = Math.max(largest, Math.abs(alone[c] - expected));
        }
    }
    console.log(`largest difference of ${rows} x ${classes} logits: ${largest}`);
    if (!(largest <= LARGEST)) process.exitCode = 1;
}

main(process.argv.slice(2)).catch((error) => {
    console.error(error.message);
    process.exitCode = 1;
});

// Runs one script for the engine: node.mjs INPUT_FD RESULT_FD ENTRY.
//
// Input and result are JSON on descriptors of their own, so that stdin, stdout and
// stderr stay the script's. A script that exports a function has it called with the
// input; any other script runs as a program.
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";
import vm from "node:vm";

const [inputFd, resultFd, entry] = [Number(process.argv[2]), Number(process.argv[3]), process.argv[4]];
const home = process.cwd() + path.sep;
const input = JSON.parse(fs.readFileSync(inputFd, "utf8") || "null");
fs.closeSync(inputFd);
process.argv = [process.execPath, entry];

let sent = false;
let settled = true;

function send(answer) {
  if (sent) return;
  const bytes = Buffer.from(JSON.stringify(answer), "utf8");
  sent = true;
  for (let at = 0; at < bytes.length; ) at += fs.writeSync(resultFd, bytes, at);
  fs.closeSync(resultFd);
}

const own = (text) => text.replaceAll(pathToFileURL(home).href, "").replaceAll(home, "");

// The script's own frames of a stack, and the place that the parser marks.
function trace(error, file) {
  const stack = typeof error?.stack === "string" ? error.stack.split("\n") : [];
  const frames = stack.filter((line) => /^\s+at /.test(line) && own(line) !== line).map(own);
  if (frames.length === 0 && error instanceof SyntaxError) {
    const check = spawnSync(process.execPath, ["--check", file], { encoding: "utf8" });
    const lines = own(check.stderr ?? "").split("\n");
    const end = lines.findIndex((line) => line === "");
    return lines.slice(0, end < 0 ? 4 : end).map((line) => "    " + line);
  }
  return frames;
}

function describe(error, file, depth = 0) {
  if (!(error instanceof Error)) {
    return { type: typeof error, message: typeof error === "string" ? error : JSON.stringify(error) ?? String(error), trace: [] };
  }
  const lines = trace(error, file);
  for (const inner of (error.errors ?? []).slice?.(0, 5) ?? []) lines.push(`  - ${inner?.name ?? typeof inner}: ${inner?.message ?? inner}`);
  if (error.cause !== undefined && depth < 4) {
    const before = describe(error.cause, file, depth + 1);
    lines.push(`caused by ${before.type}: ${before.message}`, ...before.trace);
  }
  return { type: error.name || "Error", message: error.message, trace: lines };
}

let file = entry;
function fail(error) {
  send({ error: describe(error, file) });
  process.exit(1);
}
process.on("uncaughtException", fail);
process.on("exit", (code) => {
  if (!settled && (code === 0 || code === 13)) {
    send({ error: { type: "Error", message: "the function never finished, and nothing was left to wait for", trace: [] } });
    process.exitCode = 1;
  }
});

// Node decides by the name whether a file is a module; a script need not know that.
function isModule(source) {
  const parses = (body) => {
    try {
      new vm.Script(body, { filename: entry });
      return true;
    } catch {
      return false;
    }
  };
  const body = source.replace(/^#!.*/, "");
  if (parses(`(function (exports, require, module, __filename, __dirname) {${body}\n})`)) return false;
  return /\b(import|export|await)\b/.test(body);
}

function nearestType(folder) {
  for (let at = folder; (at + path.sep).startsWith(home); at = path.dirname(at)) {
    const found = path.join(at, "package.json");
    if (fs.existsSync(found)) return JSON.parse(fs.readFileSync(found, "utf8")).type ?? "commonjs";
  }
  return "commonjs";
}

async function load() {
  const require = createRequire(entry);
  if (entry.endsWith(".js") && nearestType(path.dirname(entry)) === "commonjs") {
    const source = fs.readFileSync(entry, "utf8");
    if (!isModule(source)) return { default: require(entry) };
    file = entry.slice(0, -3) + ".mjs";
    if (!fs.existsSync(file)) fs.writeFileSync(file, source);
  }
  if (file.endsWith(".cjs")) return { default: require(file) };
  globalThis.require = createRequire(file);
  return await import(pathToFileURL(file).href);
}

function entryPoint(loaded) {
  const exported = loaded.default;
  const candidates = [exported, exported?.default, exported?.main, exported?.handler, loaded.main, loaded.handler];
  return candidates.find((one) => typeof one === "function");
}

try {
  const loaded = await load();
  const main = entryPoint(loaded);
  if (main) {
    settled = false;
    const value = await main(input);
    settled = true;
    if (typeof value === "function" || typeof value === "symbol") throw new TypeError(`the function returned a ${typeof value}, which JSON cannot carry`);
    send({ ok: value === undefined ? null : value });
    process.exit(process.exitCode ?? 0);
  }
} catch (error) {
  settled = true;
  fail(error);
}

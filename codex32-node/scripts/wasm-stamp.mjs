// Prints the hash of all that the WebAssembly package is made from: the pure sources,
// and the versions of the crates that they use. `wasm/STAMP` holds the hash of the
// last build; a test compares the two.
import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");
const core = path.join(root, "codex32-core");
const node = path.join(root, "codex32-node");

// The rooms of the ground, as `lib.rs` declares them without a feature.
function rooms() {
  const lines = fs.readFileSync(path.join(core, "src/lib.rs"), "utf8").split("\n");
  return lines.flatMap((line, at) => {
    const name = /^pub mod (\w+);/.exec(line)?.[1];
    return name && !/feature = "engine"/.test(lines[at - 1]) ? [name] : [];
  });
}

function walk(place) {
  if (!fs.existsSync(place)) return [];
  if (fs.statSync(place).isFile()) return [place];
  return fs.readdirSync(place).sort().flatMap((name) => walk(path.join(place, name)));
}

const isTest = (file) => /(^|\/)(tests?|snapshots)(\/|\.rs$)|\.snap$/.test(file);

function sources() {
  const places = rooms().flatMap((room) => [`src/${room}.rs`, `src/${room}`].map((place) => path.join(core, place)));
  const own = ["src/lib.rs", "src/wasm.rs", "src/wasm.d.ts"].map((place) => path.join(node, place));
  return [...places.flatMap(walk), path.join(core, "src/lib.rs"), ...own].filter((file) => !isTest(path.relative(root, file))).sort();
}

// Names that a manifest depends on in the browser: not optional, and not for the host only.
function roots(manifest, sections) {
  const names = [];
  let section = "";
  for (const line of fs.readFileSync(manifest, "utf8").split("\n")) {
    section = /^\[(.*)\]/.exec(line)?.[1] ?? section;
    const name = /^([\w-]+)(\.workspace)? *=/.exec(line)?.[1];
    if (name && sections.includes(section) && !/optional *= *true/.test(line)) names.push(name);
  }
  return names;
}

// The packages that `names` reach in the lock file, with their versions.
function locked(names) {
  const packages = new Map();
  for (const block of fs.readFileSync(path.join(root, "Cargo.lock"), "utf8").split("[[package]]").slice(1)) {
    const name = /name = "(.*)"/.exec(block)[1];
    const version = /version = "(.*)"/.exec(block)[1];
    const list = /dependencies = \[([^\]]*)\]/.exec(block)?.[1] ?? "";
    const needs = [...list.matchAll(/"(.*)"/g)].map((found) => found[1]);
    packages.set(`${name} ${version}`, needs);
  }
  const find = (need) => [...packages.keys()].filter((key) => key === need || key.startsWith(`${need} `));
  const reached = new Set();
  const open = names.flatMap(find);
  while (open.length > 0) {
    const key = open.pop();
    if (reached.has(key) || key.startsWith("codex32-")) continue;
    reached.add(key);
    open.push(...packages.get(key).flatMap((need) => find(need.split(" ").slice(0, 2).join(" "))));
  }
  return [...reached].sort();
}

export function stamp() {
  const hash = createHash("sha256");
  for (const file of sources()) {
    hash.update(`${path.relative(root, file)}\0`).update(fs.readFileSync(file)).update("\0");
  }
  const names = [
    ...roots(path.join(core, "Cargo.toml"), ["dependencies"]),
    ...roots(path.join(node, "Cargo.toml"), ["dependencies", 'target.\'cfg(target_arch = "wasm32")\'.dependencies']),
  ];
  for (const line of locked(names)) hash.update(`${line}\n`);
  return hash.digest("hex");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(stamp());

// The browser package as it is committed, loaded the way a bundler would.
import assert from "node:assert/strict";
import fs from "node:fs";
import { test } from "node:test";
import { stamp } from "../scripts/wasm-stamp.mjs";
import { draft, explain, initSync, nextRuns, parse, schema, validate } from "../wasm/codex32.js";

const at = (name) => new URL(`../wasm/${name}`, import.meta.url);
initSync({ module: fs.readFileSync(at("codex32_bg.wasm")) });

const BOT = `codex32: v1
name: hello
on:
  - schedule: every weekday at 9am
permissions: {network: [example.com]}
steps:
  - use: http.get
    with: {url: "https://example.com/price.json"}
`;

const thrown = (call) => {
  try {
    call();
  } catch (error) {
    return error;
  }
  assert.fail("nothing was thrown");
};

test("the committed package is built from the present sources", () => {
  const built = fs.readFileSync(at("STAMP"), "utf8").trim();
  assert.equal(built, stamp(), "the browser package is stale: run codex32-node/scripts/build-wasm.sh and commit it");
});

test("parse gives the JSON form, or every mistake with its place", () => {
  const { blueprint, diagnostics } = parse(BOT);
  assert.deepEqual(diagnostics, []);
  assert.equal(blueprint.name, "hello");
  assert.equal(blueprint.steps[0].use, "http.get");
  // A plain object, not a Map: it survives JSON.
  assert.deepEqual(JSON.parse(JSON.stringify(blueprint)), blueprint);

  const broken = parse("codex32: v1\nname: Hello World\nstepz: []\n");
  assert.equal(broken.blueprint, null);
  assert.ok(broken.diagnostics.length >= 2);
  assert.ok(broken.diagnostics.every((d) => d.severity === "error" && d.line > 0 && d.column > 0 && d.message));
});

test("validate knows the connectors", () => {
  assert.deepEqual(validate(BOT).filter((d) => d.severity === "error"), []);
  const [wrong] = validate(BOT.replace("http.get", "http.gett"));
  assert.equal(wrong.line, 7);
  assert.equal(wrong.severity, "error");
  assert.match(wrong.message + wrong.hint, /http\.get\b/);
});

test("explain reads a bot back, and throws with a code where it cannot", () => {
  const text = explain(BOT);
  assert.match(text, /weekday/i);
  assert.match(text, /https:\/\/example\.com\/price\.json/);
  const error = thrown(() => explain("nothing: here"));
  assert.ok(error instanceof Error);
  assert.equal(error.name, "Codex32Error");
  assert.equal(error.code, "invalid");
});

test("nextRuns counts in the zone that it is given", () => {
  const from = Date.UTC(2024, 2, 29, 12); // a Friday; Berlin's clocks go forward on Sunday
  const runs = nextRuns("every weekday at 9am", { from, timezone: "Europe/Berlin", count: 2 });
  assert.deepEqual(runs.next, [Date.UTC(2024, 3, 1, 7), Date.UTC(2024, 3, 2, 7)]);
  assert.equal(runs.timezone, "Europe/Berlin");
  assert.deepEqual(runs.cron, ["0 9 * * 1-5"]);
  assert.equal(nextRuns("*/5 * * * *").next.length, 5);
  assert.ok(nextRuns("every 5 minutes").next[0] > Date.now() - 60_000);

  assert.equal(thrown(() => nextRuns("every blue moon")).code, "invalid");
  assert.match(thrown(() => nextRuns("every hour", { timezone: "Mars/Olympus" })).message, /Mars\/Olympus/);
  assert.match(thrown(() => nextRuns("every hour", { tz: "UTC" })).message, /tz/);
  assert.match(thrown(() => nextRuns("every hour", { count: "many" })).message, /count|many/);
  assert.equal(nextRuns("every hour", { count: 1, timezone: undefined }).timezone, "UTC");
});

test("draft makes a bot of a sentence", () => {
  const text = "every 5 minutes fetch http://127.0.0.1:8080/price.json and if usd is below 50000 post it to http://127.0.0.1:8080/alerts";
  const made = draft(text, { now: Date.UTC(2024, 0, 1), timezone: "UTC" });
  assert.deepEqual(made.not_understood, []);
  assert.deepEqual(made.questions.filter((q) => q.blocking), []);
  const { blueprint, diagnostics } = parse(made.blueprint);
  assert.deepEqual(diagnostics, []);
  assert.match(JSON.stringify(blueprint), /50000/);
  assert.match(made.blueprint, /127\.0\.0\.1:8080\/alerts/);
  assert.ok(made.confidence > 0 && made.confidence <= 1);
  assert.ok(made.explanation.length > 0);
});

test("schema is JSON Schema", () => {
  assert.match(schema().$schema, /json-schema\.org/);
  assert.ok(schema().properties.steps);
});

test("hostile input gives findings, and the instance lives on", () => {
  const bombs = ["a: &a [x]\nb: [*a, *a", "[".repeat(100_000), "x".repeat(3_000_000), "\u0000", "- ".repeat(50_000)];
  for (const bomb of bombs) assert.ok(parse(bomb).diagnostics.length > 0);
  assert.equal(parse(BOT).blueprint.name, "hello");
});

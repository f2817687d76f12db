/* tslint:disable */
/* eslint-disable */
/** What is wrong with a blueprint, and where. */
export interface Diagnostic {
    severity: "error" | "warning";
    /** `invalid`, or `too_large` where a limit is passed. */
    code: string;
    message: string;
    hint?: string;
    /** JSON pointer into the blueprint. */
    pointer: string;
    /** From 1; 0 where there is no text. */
    line: number;
    /** In characters, from 1; 0 where there is no text. */
    column: number;
    /** How many characters are meant. */
    length: number;
}

/** A blueprint in its JSON form, or null, and all mistakes of form. */
export interface Parsed {
    blueprint: Record<string, unknown> | null;
    diagnostics: Diagnostic[];
}

/** What is known besides the sentence. */
export interface DraftContext {
    /** UTC milliseconds; the present by default. */
    now?: number;
    /** IANA zone; UTC by default. */
    timezone?: string;
    /** Where "email me" goes. */
    email?: string;
    /** Names of the workspace's bots. */
    bots?: string[];
    /** Names of the workspace's connections. */
    connections?: string[];
    /** Answers to earlier questions, by the question's id. */
    answers?: Record<string, string>;
}

/** Something that only the person knows. */
export interface Question {
    id: string;
    text: string;
    about: string;
    /** Whether the bot cannot run without the answer. */
    blocking: boolean;
}

/** What was made of a sentence. */
export interface Draft {
    /** The text of the bot, or null where something that it needs is missing. */
    blueprint: string | null;
    explanation: string;
    assumptions: string[];
    questions: Question[];
    /** 0 to 1. */
    confidence: number;
    not_understood: string[];
}

/** From when, where and how many. */
export interface RunOptions {
    /** UTC milliseconds; the present by default. */
    from?: number;
    /** IANA zone, where the schedule names none; UTC by default. */
    timezone?: string;
    /** 5 by default, at most 1,000. */
    count?: number;
}

/** When a schedule comes next. */
export interface NextRuns {
    /** The schedule in plain English. */
    description: string;
    /** As cron expressions (their union), where cron can say it. */
    cron: string[] | null;
    timezone: string;
    /** UTC milliseconds. */
    next: number[];
}

/** What the functions throw. */
export interface Codex32Error extends Error {
    name: "Codex32Error";
    /** Stable: `invalid`, `too_large`, ... */
    code: string;
    hint?: string;
}



/**
 * A bot from a sentence, with what was assumed and what must be asked.
 */
export function draft(text: string, context?: DraftContext): Draft;

/**
 * A blueprint in plain English. Throws where the text cannot be read.
 */
export function explain(text: string): string;

/**
 * When a schedule (a phrase or a cron expression) comes next. Throws where it is not understood.
 */
export function nextRuns(schedule: string, options_given?: RunOptions): NextRuns;

/**
 * Reads a blueprint: its JSON form, or null, and all mistakes of form.
 */
export function parse(text: string): Parsed;

/**
 * The JSON Schema of blueprints, for an editor's completion.
 */
export function schema(): object;

/**
 * All that is wrong with a blueprint, against the built-in connectors, with places.
 */
export function validate(text: string): Diagnostic[];

export type InitInput = RequestInfo | URL | Response | BufferSource | WebAssembly.Module;

export interface InitOutput {
    readonly memory: WebAssembly.Memory;
    readonly draft: (a: number, b: number, c: any) => [number, number, number];
    readonly explain: (a: number, b: number) => [number, number, number, number];
    readonly nextRuns: (a: number, b: number, c: any) => [number, number, number];
    readonly parse: (a: number, b: number) => [number, number, number];
    readonly schema: () => [number, number, number];
    readonly validate: (a: number, b: number) => [number, number, number];
    readonly __wbindgen_malloc: (a: number, b: number) => number;
    readonly __wbindgen_realloc: (a: number, b: number, c: number, d: number) => number;
    readonly __wbindgen_free: (a: number, b: number, c: number) => void;
    readonly __wbindgen_exn_store: (a: number) => void;
    readonly __externref_table_alloc: () => number;
    readonly __wbindgen_externrefs: WebAssembly.Table;
    readonly __externref_table_dealloc: (a: number) => void;
    readonly __wbindgen_start: () => void;
}

export type SyncInitInput = BufferSource | WebAssembly.Module;

/**
 * Instantiates the given `module`, which can either be bytes or
 * a precompiled `WebAssembly.Module`.
 *
 * @param {{ module: SyncInitInput }} module - Passing `SyncInitInput` directly is deprecated.
 *
 * @returns {InitOutput}
 */
export function initSync(module: { module: SyncInitInput } | SyncInitInput): InitOutput;

/**
 * If `module_or_path` is {RequestInfo} or {URL}, makes a request and
 * for everything else, calls `WebAssembly.instantiate` directly.
 *
 * @param {{ module_or_path: InitInput | Promise<InitInput> }} module_or_path - Passing `InitInput` directly is deprecated.
 *
 * @returns {Promise<InitOutput>}
 */
export default function __wbg_init (module_or_path?: { module_or_path: InitInput | Promise<InitInput> } | InitInput | Promise<InitInput>): Promise<InitOutput>;

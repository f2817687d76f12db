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

import { Operations } from './operations.js'

export * from './operations.js'

/** A place of the input that is at fault. */
export interface Fault {
  pointer: string
  message: string
}

/** Something the engine refused or failed at. */
export declare class Codex32Error extends Error {
  constructor(error: { code?: string; message?: string; hint?: string; faults?: Fault[]; retry_after_ms?: number })
  /** Stable class of the error: `not_found`, `invalid`, ... */
  readonly code: string
  /** What to do about it. */
  readonly hint?: string
  /** The places of the input. */
  readonly faults: Fault[]
  /** When a retry is worth it, in milliseconds. */
  readonly retryAfterMs?: number
  /** Whether the same call may succeed later without being changed. */
  readonly isRetriable: boolean
}

/** What an action is told besides its input. */
export interface ActionContext {
  bot: string
  execution: string | null
  step: string
  attempt: number
  idempotency_key: string
}

/** What is told of an action. */
export interface ActionOptions {
  summary?: string
  input?: object
  output?: object
  idempotent?: boolean
}

export type ActionHandler = (input: any, context: ActionContext) => unknown

/** An engine in this process. */
export declare class Engine extends Operations {
  static open(target: string, options?: { start?: boolean }): Promise<Engine>
  action<F extends ActionHandler>(name: string, handler: F): F
  action<F extends ActionHandler>(name: string, options: ActionOptions, handler: F): F
  start(): Promise<void>
  close(): Promise<void>
}

/** The operations of the server at `url`. */
export declare function connect(url: string, options?: { token?: string }): Operations

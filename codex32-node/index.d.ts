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

/** What is told of a workflow. */
export interface WorkflowOptions {
  /** The state of the code: executions go on with the revision that they were started with. */
  revision?: string
  description?: string
  /** JSON Schema of the input, an object. */
  inputs?: object
  /** What starts it, as below `on` in a blueprint. */
  on?: object[]
  /** Longest time for a whole execution, in milliseconds. */
  timeout?: number
  environment?: string
  /** False: only executions that exist go on; the bot stays as it is. */
  deploy?: boolean
}

/** One attempt of a step. */
export interface Attempt {
  step: string
  number: number
  /** The same for every attempt, also after a crash. */
  idempotencyKey: string
  /** Aborted when the attempt is not wanted any more. */
  signal: AbortSignal
  log(text: string): void
}

/** How a step is tried again; times in milliseconds. */
export interface Retry {
  attempts?: number
  backoff?: 'constant' | 'linear' | 'exponential'
  delay?: number
  max?: number
  jitter?: number
  /** Codes of the errors that are worth it. */
  on?: string[]
}

export interface StepOptions {
  /** A number of attempts, or more said about them. */
  retry?: number | Retry
  /** Longest time for one attempt, in milliseconds. */
  timeout?: number
}

/** What a workflow is given. Its calls are answered from the journal when it is run again. */
export interface WorkflowContext {
  readonly execution: string
  readonly bot: string
  /** The time in UTC milliseconds, the same whenever the function is run again. */
  now(): number
  uuid(): string
  random(): number
  log(text: string): void
  step<T>(name: string, body: (attempt: Attempt) => T | Promise<T>): Promise<T>
  step<T>(name: string, options: StepOptions, body: (attempt: Attempt) => T | Promise<T>): Promise<T>
  sleep(name: string, ms: number): Promise<void>
  sleepUntil(name: string, time: Date | number): Promise<void>
  signal(name: string, options?: { timeout?: number }): Promise<any>
  event(name: string, options?: { where?: string; timeout?: number }): Promise<any>
  child(bot: string, input?: object, options?: { timeout?: number }): Promise<any>
}

export type WorkflowHandler = (ctx: WorkflowContext, input: any) => unknown

/** An engine in this process. */
export declare class Engine extends Operations {
  static open(target: string, options?: { start?: boolean }): Promise<Engine>
  action<F extends ActionHandler>(name: string, handler: F): F
  action<F extends ActionHandler>(name: string, options: ActionOptions, handler: F): F
  workflow(name: string, handler: WorkflowHandler): Promise<number>
  workflow(name: string, options: WorkflowOptions, handler: WorkflowHandler): Promise<number>
  start(): Promise<void>
  close(): Promise<void>
}

/** The operations of the server at `url`. */
export declare function connect(url: string, options?: { token?: string }): Operations

'use strict'

/**
 * Something the engine refused or failed at. `code` is stable; `hint` says what to
 * do; `faults` names the places of the input; `retryAfterMs` says when a retry is
 * worth it.
 */
class Codex32Error extends Error {
  constructor({ code = 'internal', message = '', hint, faults = [], retry_after_ms: retryAfterMs }) {
    super(message)
    this.name = 'Codex32Error'
    this.code = code
    this.hint = hint
    this.faults = faults
    this.retryAfterMs = retryAfterMs
  }

  /** Whether the same call may succeed later without being changed. */
  get isRetriable() {
    return ['rate_limited', 'busy', 'timeout', 'unavailable'].includes(this.code)
  }
}

/** The error that the native part's JSON stands for. */
function errorOf(text) {
  try {
    return new Codex32Error(JSON.parse(text))
  } catch {
    return new Codex32Error({ message: text })
  }
}

/** What a function of the user's threw, as the engine records it. */
function toJson(error) {
  if (error instanceof Codex32Error) return { code: error.code, message: error.message, hint: error.hint }
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
  return { code: 'failed', message: text }
}

module.exports = { Codex32Error, errorOf, toJson }

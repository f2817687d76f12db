'use strict'

const { errorOf } = require('./errors.js')

function decode({ ok, json }) {
  if (!ok) throw errorOf(json)
  return JSON.parse(json)
}

/** Calls and streams over the native part. */
class Door {
  constructor(native, start) {
    this.native = native
    this.pending = start
    this.preparing = []
  }

  /** The engine is not started before `promise` is settled. */
  before(promise) {
    this.preparing.push(promise.catch(() => {}))
    return promise
  }

  // Started at the first call, so that actions registered before it are known when
  // interrupted executions go on.
  async ready() {
    if (this.preparing.length) await Promise.all(this.preparing.splice(0))
    if (this.pending === true) this.pending = this.native.start().then(decode)
    await this.pending
  }

  async call(name, input) {
    await this.ready()
    return decode(await this.native.call(name, JSON.stringify(input)))
  }

  async *stream(name, input) {
    await this.ready()
    const items = await this.native.openStream(name, JSON.stringify(input)).catch(rethrow)
    try {
      for (;;) {
        const answer = await items.next()
        if (answer == null) return
        yield decode(answer)
      }
    } finally {
      await items.close()
    }
  }
}

function rethrow(error) {
  throw errorOf(error.message)
}

module.exports = { Door, decode, rethrow }

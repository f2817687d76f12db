import { useState } from 'preact/hooks'
import { signIn, signInWithPassword } from '../session'

/** Asks who one is: by the token that `codex32 up` printed, or by address and password. */
export function SignInView() {
  const [byPassword, setByPassword] = useState(false)
  const [fault, setFault] = useState('')
  const [busy, setBusy] = useState(false)

  async function submit(event: SubmitEvent) {
    event.preventDefault()
    const form = new FormData(event.currentTarget as HTMLFormElement)
    const field = (name: string) => String(form.get(name) ?? '')
    setBusy(true)
    setFault('')
    try {
      await (byPassword ? signInWithPassword(field('email'), field('password')) : signIn(field('token')))
    } catch (error) {
      setFault(error instanceof Error ? error.message : String(error))
    } finally {
      setBusy(false)
    }
  }

  return (
    <main class="centre">
      <section class="card signin">
        <h1>Codex-32</h1>
        <p class="soft">Say in plain words what should be automated, and get a bot.</p>
        <form onSubmit={submit}>
          {byPassword ? (
            <>
              <label>
                E-mail
                <input name="email" type="email" autoComplete="username" required autoFocus />
              </label>
              <label>
                Password
                <input name="password" type="password" autoComplete="current-password" required />
              </label>
            </>
          ) : (
            <label>
              Token
              <input name="token" type="password" autoComplete="off" required autoFocus placeholder="c32_…" />
              <small>It was printed once when the engine was started for the first time.</small>
            </label>
          )}
          {fault && (
            <p class="error" role="alert">
              {fault}
            </p>
          )}
          <div class="row">
            <button class="main" type="submit" disabled={busy}>
              Sign in
            </button>
            <button class="quiet" type="button" onClick={() => setByPassword(!byPassword)}>
              {byPassword ? 'Use a token' : 'Use a password'}
            </button>
          </div>
        </form>
      </section>
    </main>
  )
}

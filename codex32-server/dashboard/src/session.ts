// Who is signed in. The token itself lies in a cookie that no script can read.

import { signal } from '@preact/signals'
import { SocketDoor } from './door'
import { Operations, type Me } from './operations'

/** Whether somebody is signed in: undefined until it is known. */
export const me = signal<Me | null | undefined>(undefined)

export const door = new SocketDoor(() => (me.value = null))
export const engine = new Operations(door)

const OWN_PAGE = { 'X-Codex32': '1', 'Content-Type': 'application/json' }

/** Signs in with a token. */
export async function signIn(token: string): Promise<void> {
  const answer = await fetch('/api/session', {
    method: 'POST',
    headers: OWN_PAGE,
    body: JSON.stringify({ token: token.trim(), remember: true }),
  })
  if (!answer.ok) throw new Error((await answer.json()).detail)
  await whoami()
}

/** Signs in with address and password. */
export async function signInWithPassword(email: string, password: string): Promise<void> {
  const answer = await fetch('/api/v1/auth/login', {
    method: 'POST',
    headers: OWN_PAGE,
    body: JSON.stringify({ email, password }),
  })
  const body = await answer.json()
  if (!answer.ok) throw new Error(body.detail)
  await signIn(body.token)
}

/** Signs out on this browser. */
export async function signOut(): Promise<void> {
  await fetch('/api/session', { method: 'DELETE', headers: OWN_PAGE })
  location.assign('/')
}

/** Looks who is signed in; a token in the address (`#token=`) is used and taken out of it. */
export async function begin(): Promise<void> {
  const token = new URLSearchParams(location.hash.slice(1)).get('token')
  if (token) {
    history.replaceState(null, '', location.pathname)
    try {
      await signIn(token)
      return
    } catch {
      me.value = null
      return
    }
  }
  await whoami()
}

async function whoami(): Promise<void> {
  const answer = await fetch('/api/v1/auth/whoami')
  me.value = answer.ok ? await answer.json() : null
}

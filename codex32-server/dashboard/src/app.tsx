import { LocationProvider, Route, Router, useLocation } from 'preact-iso'
import { Theme } from './parts/theme'
import { Toasts } from './parts/toast'
import { me, signOut } from './session'
import { ApprovalsView } from './views/approvals'
import { BotView } from './views/bot'
import { ExecutionView } from './views/execution'
import { HomeView } from './views/home'
import { SettingsView } from './views/settings'
import { SignInView } from './views/signin'

/** The whole page. */
export function App() {
  if (me.value === undefined) return <main class="centre" aria-busy="true" />
  if (me.value === null) return <SignInView />
  return (
    <LocationProvider>
      <a class="skip" href="#main">
        Skip to content
      </a>
      <Header />
      <main id="main" tabIndex={-1}>
        <Router>
          <Route path="/" component={HomeView} />
          <Route path="/bots/:name" component={BotView} />
          <Route path="/executions/:id" component={ExecutionView} />
          <Route path="/approvals" component={ApprovalsView} />
          <Route path="/settings" component={SettingsView} />
          <Route default component={Missing} />
        </Router>
      </main>
      <Toasts />
    </LocationProvider>
  )
}

function Header() {
  const { path } = useLocation()
  const link = (href: string, text: string) => (
    <a href={href} aria-current={path === href ? 'page' : undefined}>
      {text}
    </a>
  )
  return (
    <header class="top">
      <a class="brand" href="/">
        Codex-32
      </a>
      <nav aria-label="Main">
        {link('/', 'Bots')}
        {link('/approvals', 'Approvals')}
        {link('/settings', 'Connections')}
        <a href="/docs/api" target="_blank" rel="noreferrer">
          API
        </a>
      </nav>
      <span class="grow" />
      <span class="who" title={`${me.value?.role} in ${me.value?.workspace_slug}`}>
        {me.value?.email || me.value?.name}
      </span>
      <Theme />
      <button class="quiet" type="button" onClick={() => void signOut()}>
        Sign out
      </button>
    </header>
  )
}

function Missing() {
  return (
    <section class="card">
      <h1>Nothing here</h1>
      <p>
        This page does not exist. <a href="/">Back to the bots.</a>
      </p>
    </section>
  )
}

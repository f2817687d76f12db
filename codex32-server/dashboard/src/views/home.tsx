import { useState } from 'preact/hooks'
import { useLocation } from 'preact-iso'
import { Figures } from '../parts/figures'
import { useLive } from '../parts/live'
import { Prompt } from '../parts/prompt'
import { State } from '../parts/state'
import { Time } from '../parts/time'
import { attempt, say } from '../parts/toast'
import type { BotRow } from '../operations'
import { engine } from '../session'

/** The one prompt box, and the bots. */
export function HomeView() {
  const [text, setText] = useState('')
  const page = useLive(
    () => engine.bots.list({ text: text || undefined }),
    (event) => /^(bot|deployment|execution)\./.test(event),
    [text],
  )
  return (
    <>
      <Prompt />
      <Figures />
      <section class="card">
        <div class="row">
          <h2>Bots</h2>
          <span class="grow" />
          <label class="search">
            <input
              type="search"
              placeholder="Find a bot"
              aria-label="Find a bot"
              value={text}
              onInput={(event) => setText(event.currentTarget.value)}
            />
          </label>
        </div>
        {page && page.items.length === 0 && (
          <p class="soft">{text ? 'No bot has that in its name.' : 'No bot yet. Say above what should be automated.'}</p>
        )}
        {page && page.items.length > 0 && <Bots rows={page.items} />}
      </section>
    </>
  )
}

function Bots({ rows }: { rows: BotRow[] }) {
  const { route } = useLocation()
  async function run(name: string) {
    const started = await attempt(() => engine.executions.start(name))
    if (started) route(`/executions/${started.id}`)
  }
  async function flip(row: BotRow) {
    const stopping = row.state === 'deployed'
    const done = await attempt(() => (stopping ? engine.bots.stop(row.name) : engine.bots.start(row.name)))
    if (done) say(stopping ? `${row.name} is stopped` : `${row.name} runs again`)
  }
  return (
    <table>
      <thead>
        <tr>
          <th>Name</th>
          <th>State</th>
          <th>Last run</th>
          <th>Next run</th>
          <th aria-label="Actions" />
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr key={row.id}>
            <td>
              <a href={`/bots/${row.name}`}>{row.name}</a>
              {row.description && <div class="soft">{row.description}</div>}
            </td>
            <td>
              <State value={row.state} />
            </td>
            <td class="short">
              {row.last_status && <State value={row.last_status} />} <Time ms={row.last_run_at} />
            </td>
            <td class="short">
              <Time ms={row.next_run_at} />
            </td>
            <td>
              <div class="row together">
                <button type="button" onClick={() => void run(row.name)} disabled={row.state !== 'deployed'}>
                  Run
                </button>
                {row.state !== 'draft' && (
                  <button class="quiet" type="button" onClick={() => void flip(row)}>
                    {row.state === 'deployed' ? 'Stop' : 'Start'}
                  </button>
                )}
              </div>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}

import { engine } from '../session'
import { useLive } from './live'
import { State } from './state'
import { Time, took } from './time'

/** The last executions of a bot. */
export function Executions({ bot }: { bot: string }) {
  const page = useLive(
    () => engine.executions.list({ bot, limit: 20 }),
    (event) => event.startsWith('execution.'),
    [bot],
  )
  if (!page) return null
  if (page.items.length === 0) return <p class="soft">It has not run yet.</p>
  return (
    <table>
      <tbody>
        {page.items.map((row) => (
          <tr key={row.id}>
            <td>
              <a href={`/executions/${row.id}`}>
                <Time ms={row.created_at} />
              </a>
            </td>
            <td>
              <State value={row.status} />
            </td>
            <td class="soft">{row.trigger}</td>
            <td class="soft">{row.finished_at && took(row.finished_at - row.created_at)}</td>
            <td class="error">{row.error}</td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}

import { useLive } from '../parts/live'
import { Time } from '../parts/time'
import { attempt, say } from '../parts/toast'
import type { Approval } from '../operations'
import { engine } from '../session'

/** What waits for somebody's yes or no. */
export function ApprovalsView() {
  const list = useLive(
    () => engine.executions.approvals(),
    (event) => event.startsWith('execution.'),
    [],
  )
  return (
    <section class="card">
      <h1>Approvals</h1>
      {list && list.items.length === 0 && <p class="soft">Nothing waits for you.</p>}
      {list?.items.map((approval) => (
        <Row key={`${approval.execution} ${approval.path}`} approval={approval} />
      ))}
    </section>
  )
}

function Row({ approval }: { approval: Approval }) {
  async function answer(approved: boolean) {
    const done = await attempt(() => engine.executions.approve(approval.execution, approval.path, approved))
    if (done) say(approved ? 'Approved' : 'Declined')
  }
  return (
    <div class="row">
      <p>
        <a href={`/executions/${approval.execution}`}>{approval.bot_name}</a>: {approval.message}{' '}
        <span class="soft">
          <Time ms={approval.created_at} />
        </span>
      </p>
      <span class="grow" />
      <button class="main" type="button" onClick={() => void answer(true)}>
        Approve
      </button>
      <button class="danger" type="button" onClick={() => void answer(false)}>
        Decline
      </button>
    </div>
  )
}

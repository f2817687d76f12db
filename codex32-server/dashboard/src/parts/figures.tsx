import { engine } from '../session'
import { useLive } from './live'

/** The figures of the last day. */
export function Figures() {
  const figures = useLive(
    () => engine.dashboard.figures(),
    (event) => /^(bot|deployment|execution|incident)\./.test(event),
    [],
  )
  if (!figures) return null
  const figure = (value: number, text: string) => (
    <div class="figure">
      <b>{value}</b>
      <span class="soft">{text}</span>
    </div>
  )
  return (
    <section class="card figures" aria-label="Figures of the last 24 hours">
      {figure(figures.deployed, 'bots at work')}
      {figure(figures.active, 'active now')}
      {figure(figures.succeeded, 'succeeded, 24 h')}
      {figure(figures.failed, 'failed, 24 h')}
      {figure(figures.approvals, 'wait for approval')}
      {figure(figures.incidents, 'open incidents')}
    </section>
  )
}

/** The token check on a Redis Cluster, beside that on a single Redis. */
import { compare, type CheckFigures } from './check.ts'
import { enterOurs, forged, forwardAuthName, mustSay, oneGetName, type Entrant } from './ours.ts'
import { sessionCount, withBearer, type RoundOptions } from './rounds.ts'
import { openSession, type LocalServices, type Server, type Stage } from './stage.ts'

const onClusterName = 'Latchkey on a Cluster, GET /forward-auth'

/**
 * Loads (b), Latchkey on the single Redis and Latchkey on a Cluster in turn, see {@link compare}.
 *
 * The Cluster has three primaries with a replica each, which share the cores of the single Redis and of the load.
 */
export async function measureCluster(
  stage: Stage,
  services: LocalServices,
  servers: { fixed: Server; latchkey: Server },
  options: RoundOptions,
): Promise<CheckFigures> {
  const { [oneGetName]: oneGet, [forwardAuthName]: onSingle } = await enterOurs(stage, services, servers)
  const url = await stage.startFreshCluster()
  const there = await stage.openServices(url)
  const opened = await Promise.all(Array.from({ length: sessionCount }, () => openSession(there)))
  const onCluster: Entrant = {
    server: await stage.startLatchkey('latchkey-cluster', { REDIS_URL: url }),
    kind: 'latchkey',
    path: '/forward-auth',
    requests: opened.map(({ pair }) => withBearer(pair.accessToken)),
    owner: opened[0]!.session.userId,
  }
  await mustSay('yes', onClusterName, onCluster)
  await mustSay('no', onClusterName, onCluster, forged(onCluster.requests[0]!))
  return compare(
    stage,
    'cluster',
    { [oneGetName]: oneGet!, [forwardAuthName]: onSingle!, [onClusterName]: onCluster },
    options,
  )
}

// The attack of a broker's owner who keeps accepted evidence and sends it again.
import { setTimeout as delay } from 'node:timers/promises';
import { upTopic } from '../bus/bus.ts';
import { connectMqttBus } from '../bus/mqtt-bus.ts';
import type { Seen } from '../testing/play.ts';
import type { Theatre } from './theatre.ts';

/** How long the controller gets to fall for it. */
const WAIT_MS = 1500;

/** Records one evidence on its way, waits until it was accepted, and sends it ten times more while the device is silent. */
export async function replayed(theatre: Theatre): Promise<Seen> {
  const topic = upTopic(theatre.deviceId, 'evidence');
  const heard: Buffer[] = [];
  await using attacker = await connectMqttBus({ url: theatre.brokerOwnerUrl, caPem: '', clientId: 'broker-owner' });
  await attacker.subscribe(topic, ({ payload }) => {
    heard.push(payload);
  });
  const start = (await theatre.show()).verdict?.at ?? 0;
  await theatre.until('fresh evidence', ({ verdict }) => heard.length > 0 && (verdict?.at ?? 0) > start);
  const evidence = heard.at(-1);
  if (evidence === undefined) return { ok: false, saw: 'no evidence was heard' };
  // Frozen, so that every verdict from here on would be the attacker's.
  process.kill(theatre.agent.pid, 'SIGSTOP');
  try {
    await delay(WAIT_MS);
    const before = await theatre.show();
    for (let times = 0; times < 10; times += 1) await attacker.publish(topic, evidence);
    await delay(WAIT_MS);
    const after = await theatre.show();
    const same = after.verdict?.at === before.verdict?.at && after.verdict?.status === before.verdict?.status;
    return {
      ok: same,
      saw: same
        ? `10 copies of ${evidence.length} bytes, none accepted; verdict still ${after.verdict?.status ?? 'none'}`
        : 'a copy was accepted',
    };
  } finally {
    process.kill(theatre.agent.pid, 'SIGCONT');
  }
}

// Where a device comes to its broker: with papers at the fleet's listener, without them where one can only enrol.
import type { Bus } from '../bus/bus.ts';
import type { FleetFile } from '../release/types.ts';
import type { Will } from './agent.ts';
import type { Papers } from './phase.ts';

/** One attempt. Errors: BusError. */
export async function connectToBroker(
  broker: FleetFile['broker'],
  device: string,
  papers: Papers | null,
  will: Will | null,
): Promise<Bus> {
  const { connectMqttBus } = await import('../bus/mqtt-bus.ts');
  const { url, enrolUrl, caPem } = broker;
  if (papers === null) return connectMqttBus({ url: enrolUrl, caPem, clientId: `enrol-${device}` });
  return connectMqttBus({
    url,
    caPem,
    certPem: papers.certificate,
    keyPem: papers.tlsKey,
    clientId: device,
    ...(will === null ? {} : { will }),
  });
}

// `touchstone broker config`: the Mosquitto configuration in which the certificate decides who may say what.
import { join, resolve } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { outputOf } from './output.ts';

interface ConfigOptions {
  readonly bind: string;
  readonly fleetPort: number;
  readonly enrolPort: number;
  readonly user?: string;
}

function portOf(text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new InvalidArgumentError('a port is 1 to 65535');
  return port;
}

async function config(dir: string, options: ConfigOptions, command: Command): Promise<void> {
  const { brokerConfig, ENROL_ACL, FLEET_ACL } = await import('../controller/broker-config.ts');
  const output = outputOf(command);
  const path = (name: string): string => join(resolve(dir), name);
  const text = brokerConfig({
    ...options,
    paths: {
      caFile: path('ca.pem'),
      certFile: path('server.pem'),
      keyFile: path('server.key.pem'),
      crlFile: path('revoked.crl.pem'),
      fleetAcl: path('fleet.acl'),
      enrolAcl: path('enrol.acl'),
    },
  });
  output.result({ config: text, fleetAcl: FLEET_ACL, enrolAcl: ENROL_ACL }, () => text);
}

/** `touchstone broker`. */
export function brokerCommand(): Command {
  const command = new Command('broker').description('configure the MQTT broker of a fleet');
  command
    .command('config')
    .description('print the Mosquitto configuration; with --json also the two access lists')
    .argument('<dir>', 'folder of ca.pem, server.pem, server.key.pem, revoked.crl.pem, fleet.acl and enrol.acl')
    .addOption(new Option('--bind <address>', 'address to listen at').default('0.0.0.0'))
    .addOption(new Option('--fleet-port <port>', 'for enrolled devices').default(8883).argParser(portOf))
    .addOption(new Option('--enrol-port <port>', 'for newcomers').default(8884).argParser(portOf))
    .addOption(new Option('--user <name>', 'whom Mosquitto becomes when root starts it'))
    .action(config);
  return command;
}

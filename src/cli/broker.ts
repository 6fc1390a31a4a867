// `touchstone broker config`: the Mosquitto configuration in which the certificate decides who may say what.
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { ConfigError } from '../errors.ts';
import { stateOption } from './controller.ts';
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

/** The serial number that is meant: hex with or without colons, or that of the certificate in a file. */
async function serialOf(named: string): Promise<string> {
  const bare = named.replaceAll(':', '');
  if (/^[0-9a-fA-F]{1,40}$/.test(bare)) return bare;
  const { X509Certificate } = await import('node:crypto');
  try {
    return new X509Certificate(await readFile(named)).serialNumber;
  } catch (cause) {
    const what = 'it is neither a serial number (hex) nor a file with a certificate (PEM)';
    throw new ConfigError('CONFIG_INVALID', `${named}: ${what}`, { cause });
  }
}

async function revoke(named: string, { state }: { readonly state: string }, command: Command): Promise<void> {
  const { askController } = await import('../controller/control-client.ts');
  const output = outputOf(command);
  const serial = await serialOf(named);
  const answer = (await askController(state, 'revoke-certificate', { serial })) as { device: string | null };
  output.note('the broker takes it until it reads revoked.crl.pem again (systemctl reload mosquitto, or SIGHUP)');
  output.result(
    { serial, ...answer },
    () => `certificate ${serial} of ${answer.device ?? 'a device not known here'} is taken back`,
  );
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
  command
    .command('revoke')
    .description('take one broker certificate back: also one that the controller does not know')
    .argument('<certificate>', 'its serial number (hex), or a file with it (PEM)')
    .addOption(stateOption())
    .action(revoke);
  return command;
}

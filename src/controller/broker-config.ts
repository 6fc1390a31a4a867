// A Mosquitto configuration in which the certificate decides who may say what: one listener to enrol, one for the fleet.
import { CLIENT_ID_PREFIX } from '../bus/bus.ts';

export interface BrokerPaths {
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
  /** Certificates that count no more; a controller writes it. Without the file the broker does not start. */
  readonly crlFile: string;
  readonly fleetAcl: string;
  readonly enrolAcl: string;
}

export interface BrokerSettings {
  readonly bind: string;
  /** Client certificates, one identity a device. */
  readonly fleetPort: number;
  /** No client certificate; can only enrol. */
  readonly enrolPort: number;
  readonly paths: BrokerPaths;
  /** Whom Mosquitto becomes when root starts it; it must be able to read the files. Absent: Mosquitto's own choice. */
  readonly user?: string;
}

/** Longest message: 256 KiB and its head. */
const MAX_PACKET = 300 * 1024;

export function brokerConfig({ bind, fleetPort, enrolPort, paths, user }: BrokerSettings): string {
  const tls = [
    `cafile ${paths.caFile}`,
    `certfile ${paths.certFile}`,
    `keyfile ${paths.keyFile}`,
    'tls_version tlsv1.2',
  ];
  return [
    '# Written by touchstone fleet init. Two listeners, each with its own rules.',
    'per_listener_settings true',
    ...(user === undefined ? [] : [`user ${user}`]),
    'persistence false',
    '# Nothing is kept for later: a message left behind would be the first thing that everybody hears.',
    'retain_available false',
    '# Two connections of one client id end each other. The fleet’s ids are the names in its certificates, none of which begins so:',
    '# whoever comes without a certificate can be nobody of the fleet.',
    `clientid_prefixes ${CLIENT_ID_PREFIX}`,
    'log_dest stderr',
    'log_type error',
    'log_type warning',
    'set_tcp_nodelay true',
    `max_packet_size ${MAX_PACKET}`,
    'max_queued_messages 1000',
    'max_inflight_messages 200',
    '',
    '# The fleet: whoever connects is what its certificate says, also as client id.',
    `listener ${fleetPort} ${bind}`,
    ...tls,
    'require_certificate true',
    '# Certificates of devices that were retired: the controller writes this list, and Mosquitto reads it at its start and at SIGHUP.',
    `crlfile ${paths.crlFile}`,
    'use_identity_as_username true',
    'use_username_as_clientid true',
    'allow_anonymous false',
    `acl_file ${paths.fleetAcl}`,
    '',
    '# Newcomers: no certificate yet, so they can ask to enrol and nothing else.',
    `listener ${enrolPort} ${bind}`,
    ...tls,
    'require_certificate false',
    'allow_anonymous true',
    `acl_file ${paths.enrolAcl}`,
    '',
  ].join('\n');
}

/** Common name of the first controller's broker certificate. */
export const CONTROLLER_NAME = 'controller';
/** Each controller of a fleet has a name of its own: one name is one connection. No device id looks like these. */
export const CONTROLLERS: readonly string[] = [CONTROLLER_NAME, 'controller-2', 'controller-3', 'controller-4'];

export const FLEET_ACL: string = [
  ...CONTROLLERS.flatMap((name) => [`user ${name}`, 'topic read touchstone/1/c/#', 'topic write touchstone/1/d/#', '']),
  '# A device speaks and hears only under its own id.',
  'pattern write touchstone/1/c/%u/#',
  'pattern read touchstone/1/d/%u/#',
  '',
].join('\n');

export const ENROL_ACL: string = [
  'topic write touchstone/1/c/+/enrol',
  'topic read touchstone/1/d/+/enrol',
  '# Who may sign: a newcomer with older firmware must know it to believe that it was let in.',
  'topic read touchstone/1/d/+/root',
  '',
].join('\n');

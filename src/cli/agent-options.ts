// The options of `touchstone agent`, for its help and for its start.
export interface AgentOptions {
  readonly profile: string;
  readonly state: string;
  readonly fleet: string;
  readonly tcti?: string;
  readonly tokenFile?: string;
  readonly log: 'text' | 'json';
}

export interface AgentOption {
  readonly key: keyof AgentOptions;
  /** The option's name, without its dashes. */
  readonly name: string;
  readonly value: string;
  readonly description: string;
  /** Where its value is taken from when it is not among the arguments. */
  readonly env?: string;
  readonly default?: string;
  readonly mandatory?: true;
  readonly choices?: readonly string[];
}

export const AGENT_OPTIONS: readonly AgentOption[] = [
  {
    key: 'profile',
    name: 'profile',
    value: '<file>',
    description: 'firmware profile',
    env: 'TOUCHSTONE_PROFILE',
    mandatory: true,
  },
  {
    key: 'state',
    name: 'state',
    value: '<dir>',
    description: 'state directory',
    env: 'TOUCHSTONE_STATE',
    default: '/var/lib/touchstone',
  },
  {
    key: 'fleet',
    name: 'fleet',
    value: '<dir>',
    description: 'folder of fleet.json and root.json',
    env: 'TOUCHSTONE_FLEET',
    default: '/etc/touchstone',
  },
  {
    key: 'tcti',
    name: 'tcti',
    value: '<conf>',
    description: "TCTI of the TPM; by default the profile's",
    env: 'TOUCHSTONE_TCTI',
  },
  {
    key: 'tokenFile',
    name: 'token-file',
    value: '<file>',
    description: 'enrolment token',
    env: 'TOUCHSTONE_TOKEN_FILE',
  },
  {
    key: 'log',
    name: 'log',
    value: '<format>',
    description: 'log lines on stderr',
    default: 'text',
    choices: ['text', 'json'],
  },
];

// Every command of the binary: its name, its line of help and the module that is loaded only when it is called.
import type { Command } from 'commander';

export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  /** Heading of the help that it stands under; without one, at the end. */
  readonly group?: string;
  /**
   * Imports the command's module. The module itself imports heavy rooms only inside its actions. `wholeTree` gives the
   * program with every command loaded, for who must know them all.
   */
  load(wholeTree: () => Promise<Command>): Promise<Command>;
}

/** In the order of the help. */
export const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'fleet',
    group: 'Setting up:',
    summary: "make a fleet's keys and files, and say who may sign what",
    load: async () => (await import('./fleet.ts')).fleetCommand(),
  },
  {
    name: 'profile',
    group: 'Setting up:',
    summary: 'write and check firmware profiles, measure configs, learn reference values',
    load: async () => (await import('./profile.ts')).profileCommand(),
  },
  {
    name: 'floor',
    group: 'Setting up:',
    summary: 'sign what moves the version floors in the TPMs of devices',
    load: async () => (await import('./floor.ts')).floorCommand(),
  },
  {
    name: 'station',
    group: 'Setting up:',
    summary: 'sign at a factory line which devices may enrol, without a network',
    load: async () => (await import('./station.ts')).stationCommand(),
  },
  {
    name: 'broker',
    group: 'Setting up:',
    summary: 'configure the MQTT broker of a fleet',
    load: async () => (await import('./broker.ts')).brokerCommand(),
  },
  {
    name: 'keygen',
    group: 'Signing:',
    summary: "make a publisher's key pair",
    load: async () => (await import('./keygen.ts')).keygenCommand(),
  },
  {
    name: 'sign',
    group: 'Signing:',
    summary: 'sign a model',
    load: async () => (await import('./sign.ts')).signCommand(),
  },
  {
    name: 'verify',
    group: 'Signing:',
    summary: 'verify a signed model',
    load: async () => (await import('./verify.ts')).verifyCommand(),
  },
  {
    name: 'release',
    group: 'Signing:',
    summary: 'make, publish and withdraw releases',
    load: async () => (await import('./release.ts')).releaseCommand(),
  },
  {
    name: 'rehearse',
    group: 'Signing:',
    summary: 'play a release against a profile on this machine, before any device gets it',
    load: async () => (await import('./rehearse.ts')).rehearseCommand(),
  },
  {
    name: 'agent',
    group: 'On a device:',
    summary: 'measure this device, prove it to the controller, take signed upgrades',
    load: async () => (await import('./agent.ts')).agentCommand(),
  },
  {
    name: 'status',
    group: 'On a device:',
    summary: 'say whether the model in a slot may be loaded',
    load: async () => (await import('./status.ts')).statusCommand(),
  },
  {
    name: 'break-glass',
    group: 'On a device:',
    summary: "go on with a signed model for a while although the controller's word does not count",
    load: async () => (await import('./break-glass.ts')).breakGlassCommand(),
  },
  {
    name: 'controller',
    group: 'The fleet:',
    summary: "run the fleet's daemon",
    load: async () => (await import('./controller.ts')).controllerCommand(),
  },
  {
    name: 'device',
    group: 'The fleet:',
    summary: 'see and decide about devices',
    load: async () => (await import('./device.ts')).deviceCommand(),
  },
  {
    name: 'upgrade',
    group: 'The fleet:',
    summary: 'install a release on devices and follow it to its attested end',
    load: async () => (await import('./upgrade.ts')).upgradeCommand(),
  },
  {
    name: 'bundle',
    group: 'The fleet:',
    summary: 'upgrade a device that has no network, with files that are carried there and back',
    load: async () => (await import('./bundle.ts')).bundleCommand(),
  },
  {
    name: 'explain',
    group: 'Finding out:',
    summary: 'explain a rule that a finding names',
    load: async () => (await import('./explain.ts')).explainCommand(),
  },
  {
    name: 'evidence',
    group: 'Finding out:',
    summary: 'explain evidence, record it for auditors, judge a record offline',
    load: async () => (await import('./evidence.ts')).evidenceCommand(),
  },
  {
    name: 'tpm',
    group: 'Finding out:',
    summary: 'look at the TPM of this machine, and find what is missing',
    load: async () => (await import('./tpm.ts')).tpmCommand(),
  },
  {
    name: 'demo',
    group: 'Finding out:',
    summary: 'play the whole product on this machine with a software TPM',
    load: async () => (await import('./demo.ts')).demoCommand(),
  },
  {
    name: 'completion',
    summary: 'print the completion script of a shell',
    load: async (wholeTree) => (await import('./completion.ts')).completionCommand(wholeTree),
  },
];

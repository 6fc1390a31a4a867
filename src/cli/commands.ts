// Every command of the binary: its name, its line of help and the module that is loaded only when it is called.
import type { Command } from 'commander';

export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
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
    summary: "make a fleet's keys and files",
    load: async () => (await import('./fleet.ts')).fleetCommand(),
  },
  {
    name: 'keygen',
    summary: "make a publisher's key pair",
    load: async () => (await import('./keygen.ts')).keygenCommand(),
  },
  {
    name: 'sign',
    summary: 'sign a model',
    load: async () => (await import('./sign.ts')).signCommand(),
  },
  {
    name: 'verify',
    summary: 'verify a signed model',
    load: async () => (await import('./verify.ts')).verifyCommand(),
  },
  {
    name: 'release',
    summary: 'make, publish and withdraw releases',
    load: async () => (await import('./release.ts')).releaseCommand(),
  },
  {
    name: 'profile',
    summary: 'check firmware profiles',
    load: async () => (await import('./profile.ts')).profileCommand(),
  },
  {
    name: 'controller',
    summary: "run the fleet's daemon",
    load: async () => (await import('./controller.ts')).controllerCommand(),
  },
  {
    name: 'device',
    summary: 'see and decide about devices',
    load: async () => (await import('./device.ts')).deviceCommand(),
  },
  {
    name: 'upgrade',
    summary: 'install a release on devices and follow it to its attested end',
    load: async () => (await import('./upgrade.ts')).upgradeCommand(),
  },
  {
    name: 'broker',
    summary: 'configure the MQTT broker of a fleet',
    load: async () => (await import('./broker.ts')).brokerCommand(),
  },
  {
    name: 'evidence',
    summary: 'explain evidence',
    load: async () => (await import('./evidence.ts')).evidenceCommand(),
  },
  {
    name: 'explain',
    summary: 'explain a rule that a finding names',
    load: async () => (await import('./explain.ts')).explainCommand(),
  },
  {
    name: 'tpm',
    summary: 'look at the TPM of this machine, and find what is missing',
    load: async () => (await import('./tpm.ts')).tpmCommand(),
  },
  {
    name: 'completion',
    summary: 'print the completion script of a shell',
    load: async (wholeTree) => (await import('./completion.ts')).completionCommand(wholeTree),
  },
];

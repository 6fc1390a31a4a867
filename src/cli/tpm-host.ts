// What the operating system says about the way to the TPM: device node and rights, sockets, libraries, and who else has it open.
import { constants } from 'node:fs';
import { access, readdir, readFile, readlink, stat } from 'node:fs/promises';
import { tctiLibrary } from '../../native/tss2.ts';

/** The file at the end of a TCTI configuration. `group`: by name, or its number where it has none. */
export interface PathFacts {
  readonly path: string;
  readonly exists: boolean;
  readonly usable: boolean;
  readonly group: string;
}

export interface HostFacts {
  /** The first word of the configuration: device, swtpm, tabrmd, … */
  readonly kind: string;
  /** libtss2-tctildr: null when it loads, else why not. */
  readonly libraryFault: string | null;
  /** The device node or swtpm socket, where the configuration names one. */
  readonly path: PathFacts | null;
  /** Device nodes of TPMs that this machine has. */
  readonly devices: readonly string[];
  /** Programs that have a TPM device open, as far as this user may see: name and process id. */
  readonly users: readonly string[];
}

/** The path in `device:/dev/tpmrm0`, `swtpm:path=/run/s`, `libtss2-tcti-device.so.0:/dev/tpm0`; null for others. */
export function pathOfTcti(tcti: string): string | null {
  const device = /(?:^|:)(?:libtss2-tcti-)?device(?:\.so\.0)?(?::(.*))?$/.exec(tcti);
  if (device !== null) return device[1] === undefined || device[1] === '' ? '/dev/tpm0' : device[1];
  return /(?:^|[:,])path=([^,]+)/.exec(tcti)?.[1] ?? null;
}

export function kindOfTcti(tcti: string): string {
  const word = tcti.split(':')[0] ?? '';
  return /^libtss2-tcti-(\w+)/.exec(word)?.[1] ?? word;
}

async function groupName(gid: number): Promise<string> {
  const file = await readFile('/etc/group', 'utf8').catch(() => '');
  const line = file.split('\n').find((entry) => entry.split(':')[2] === String(gid));
  return line?.split(':')[0] ?? String(gid);
}

async function pathFacts(path: string): Promise<PathFacts> {
  const found = await stat(path).catch(() => null);
  if (found === null) return { path, exists: false, usable: false, group: '' };
  const usable = await access(path, constants.R_OK | constants.W_OK).then(
    () => true,
    () => false,
  );
  return { path, exists: true, usable, group: await groupName(found.gid) };
}

async function tpmDevices(): Promise<string[]> {
  const names = await readdir('/dev').catch(() => []);
  return names
    .filter((name) => /^tpm(?:rm)?\d+$/.test(name))
    .sort()
    .map((name) => `/dev/${name}`);
}

/** Programs other than this that have one of the files open. Processes of other users are seen by root only. */
export async function usersOf(devices: readonly string[]): Promise<string[]> {
  if (devices.length === 0) return [];
  const users: string[] = [];
  for (const pid of (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name))) {
    if (pid === String(process.pid)) continue;
    for (const fd of await readdir(`/proc/${pid}/fd`).catch(() => [])) {
      const target = await readlink(`/proc/${pid}/fd/${fd}`).catch(() => '');
      if (!devices.includes(target)) continue;
      const name = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '?');
      users.push(`${name.trim()} (${pid})`);
      break;
    }
  }
  return users;
}

/** Reads it all; what cannot be read is as if it were not there. */
export async function readHost(tcti: string): Promise<HostFacts> {
  const library = tctiLibrary();
  const path = pathOfTcti(tcti);
  const devices = await tpmDevices();
  return {
    kind: kindOfTcti(tcti),
    libraryFault: library.found ? null : library.reason,
    path: path === null ? null : await pathFacts(path),
    devices,
    users: await usersOf(devices),
  };
}

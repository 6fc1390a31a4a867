// `touchstone fleet export`: what the fleet runs now, as one file that rehearsals elsewhere play a release against.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Command } from 'commander';
import { askController } from '../controller/control-client.ts';
import type { DeviceView } from '../controller/views.ts';
import { ConfigError } from '../errors.ts';
import { writeFileDurably } from '../files/durable.ts';
import { toUtf8 } from '../bytes/text.ts';
import type { FleetExport } from '../rehearse/fleet-export.ts';
import { stateOption } from './controller.ts';
import { readFleetFolder } from './fleet-folder.ts';
import { cleanText, outputOf } from './output.ts';

interface ExportOptions {
  readonly state: string;
  readonly out: string;
}

async function profileTexts(state: string): Promise<string[]> {
  const folder = join(state, 'profiles');
  try {
    const names = (await readdir(folder)).filter((name) => name.endsWith('.json')).toSorted();
    return await Promise.all(names.map(async (name) => readFile(join(folder, name), 'base64')));
  } catch (cause) {
    throw new ConfigError('CONFIG_MISSING', `cannot read the profiles in ${folder}`, { cause });
  }
}

async function exportFleet({ state, out }: ExportOptions, command: Command): Promise<void> {
  const output = outputOf(command);
  const [answer, fleet, root, profiles] = await Promise.all([
    askController(state, 'list', {}) as Promise<{ devices: readonly DeviceView[] }>,
    readFleetFolder(state, 'fleet'),
    readFleetFolder(state, 'root'),
    profileTexts(state),
  ]);
  const approved = answer.devices.filter((one) => one.state === 'approved');
  const document: FleetExport = {
    v: 1,
    exportedAt: Date.now(),
    fleet: fleet.toString('base64'),
    root: root.toString('base64'),
    profiles,
    devices: approved.map(({ id, label, profile, slots, floors }) => ({
      id,
      label,
      profile,
      slots: slots.map(({ slot, release, version }) => ({ slot, release, version })),
      floors: floors.map(({ slot, floor }) => ({ slot, floor })),
    })),
  };
  await writeFileDurably(out, toUtf8(`${JSON.stringify(document)}\n`), 0o644);
  const counts = { devices: approved.length, notApproved: answer.devices.length - approved.length };
  output.result({ file: out, ...counts, profiles: profiles.length }, () =>
    [
      output.paint('green', `wrote ${cleanText(out)}`),
      `  ${counts.devices} devices and ${profiles.length} profiles; ${counts.notApproved} devices are not approved and not in it`,
      '',
      `Next: touchstone rehearse --fleet ${cleanText(out)} --release RELEASE --from WHAT-THEY-RUN-NOW`,
    ].join('\n'),
  );
}

/** `touchstone fleet export`. */
export function exportCommand(): Command {
  return new Command('export')
    .description('write what the fleet runs now into one file: profiles, root statement, devices, releases, floors')
    .requiredOption('--out <file>', 'the file; an older one is replaced')
    .addOption(stateOption())
    .addHelpText(
      'after',
      `
No secret is in it; it is an inventory all the same. Put it where builds can fetch it over https, as often as the fleet changes.

Example:
  touchstone fleet export --state DIR/controller --out /srv/www/fleet.json
  touchstone rehearse --fleet https://www.example.com/fleet.json --release releases/detector-2.1 --from releases/detector-2.0`,
    )
    .action(exportFleet);
}

// `touchstone fleet export`: what the fleet runs now, as one file that rehearsals elsewhere play a release against.
import { Command } from 'commander';
import { askController } from '../controller/control-client.ts';
import type { FleetExport } from '../controller/fleet-export.ts';
import { writeFileDurably } from '../files/durable.ts';
import { toUtf8 } from '../bytes/text.ts';
import { stateOption } from './controller.ts';
import { cleanText, outputOf } from './output.ts';

interface ExportOptions {
  readonly state: string;
  readonly out: string;
}

async function exportFleet({ state, out }: ExportOptions, command: Command): Promise<void> {
  const output = outputOf(command);
  const { document, notApproved } = (await askController(state, 'export', {})) as {
    readonly document: FleetExport;
    readonly notApproved: number;
  };
  await writeFileDurably(out, toUtf8(`${JSON.stringify(document)}\n`), 0o644);
  const counts = { devices: document.devices.length, notApproved };
  const { profiles } = document;
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
No secret is in it; it is an inventory all the same. Put it where builds can fetch it over https. With "fleetExport": "FILE" in
controller.json the controller writes it by itself whenever the fleet is another.

Example:
  touchstone fleet export --state DIR/controller --out /srv/www/fleet.json
  touchstone rehearse --fleet https://www.example.com/fleet.json --release releases/detector-2.1 --from releases/detector-2.0`,
    )
    .action(exportFleet);
}

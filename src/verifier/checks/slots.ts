// Checks of the slots: is what each slot holds what a publisher signed for it, now and during the whole log?
import { shortHex, toHex } from '../../bytes/text.ts';
import { unplanned } from '../../release/planned-change.ts';
import type { RuleId } from '../../rules/catalogue.ts';
import type { Check, Expected } from '../contexts.ts';
import { isEngineWrong } from '../engines.ts';
import type { Findings } from '../findings.ts';
import { sameBytes } from '../same-bytes.ts';
import { hasWrongBytes, hasWrongConfigs, holdsUnsignedFiles, isWrong } from '../slot-judgement.ts';
import type { MeasuredSlot } from '../slot-judgement.ts';
import type { ReferenceRelease, SlotLogState } from '../types.ts';

/** At most this many differing files of a slot become findings of their own. */
const MAX_FILES = 16;

const hexOrAbsent = (digest: Uint8Array | null): string => (digest === null ? 'absent' : toHex(digest));

function heldBy({ state }: Expected, name: string): SlotLogState | undefined {
  return state.slots.find(({ slot }) => slot === name);
}

/** The broken glasses that are `wanted`, by what is left of them and what the profile allows at most, ms. */
function glasses(
  { claims, input }: Expected,
  wanted: (leftMs: number, allowed: number) => boolean,
): { readonly slot: string; readonly allowed: number; readonly found: string }[] {
  return (claims.breakGlass ?? []).flatMap(({ slot, leftMs, reason }) => {
    const { breakGlassSeconds = 0 } = input.reference.profile.slots.find(({ name }) => name === slot) ?? {};
    const allowed = breakGlassSeconds * 1000;
    const found = `under break-glass for ${Math.ceil(leftMs / 1000)} s more: ${reason}`;
    return wanted(leftMs, allowed) ? [{ slot, allowed, found }] : [];
  });
}

/** A check of each profile slot that the log measured. */
function ofMeasured(
  name: string,
  judge: (slot: MeasuredSlot, findings: Findings, context: Expected) => void,
): Check<Expected> {
  return {
    name,
    run: (context, findings) => {
      for (const measured of context.measured) judge(measured, findings, context);
    },
  };
}

/** A check of each slot that holds a release we know: `wrong` returns expected and found, or null. */
function ofRelease(
  rule: RuleId,
  wrong: (release: ReferenceRelease, slot: MeasuredSlot, context: Expected) => readonly [string, string] | null,
): Check<Expected> {
  return ofMeasured(rule, (measured, findings, context) => {
    const { release, slot } = measured;
    const texts = release === undefined ? null : wrong(release, measured, context);
    if (texts === null || release === undefined) return;
    findings.add(rule, 'contraindicated', slot.name, texts[0], texts[1], release.signedBy);
  });
}

function addWrongFiles({ slot, held, release }: MeasuredSlot, findings: Findings): void {
  const source = release?.signedBy ?? 'fleet';
  for (const { path, expected, found } of held.differing.slice(0, MAX_FILES)) {
    const texts = [`${path}: ${hexOrAbsent(expected)}`, `${path}: ${hexOrAbsent(found)}`] as const;
    findings.add('model-bytes', 'contraindicated', slot.name, ...texts, source);
  }
  const more = Math.max(0, held.differing.length - MAX_FILES) + held.more;
  if (more === 0 && held.differing.length > 0) return;
  const expected = release === undefined ? 'no differing file' : `manifest ${toHex(release.manifest)}`;
  const found = `manifest ${toHex(held.manifest)}${more > 0 ? `, ${more} more differing files` : ''}`;
  findings.add('model-bytes', 'contraindicated', slot.name, expected, found, source);
}

export const slotChecks: readonly Check<Expected>[] = [
  {
    name: 'slot-unknown',
    run: ({ state, input }, findings) => {
      const known = input.reference.profile.slots.map(({ name }) => name);
      for (const { slot } of state.slots) {
        if (known.includes(slot)) continue;
        findings.add('slot-unknown', 'contraindicated', slot, `one of ${known.join(', ')}`, slot, 'profile');
      }
    },
  },
  {
    name: 'slot-unmeasured',
    run: (context, findings) => {
      for (const { name, required } of context.input.reference.profile.slots) {
        if (heldBy(context, name) !== undefined) continue;
        const status = required ? 'contraindicated' : 'none';
        findings.add('slot-unmeasured', status, name, 'a measurement in this log', 'none', 'profile');
      }
    },
  },
  ofMeasured('slot-empty', ({ slot, held }, findings) => {
    if (!slot.required || held.release !== null) return;
    findings.add('slot-empty', 'contraindicated', slot.name, 'a release', 'none', 'profile');
  }),
  ofMeasured('model-unsigned', ({ slot, held }, findings) => {
    if (!holdsUnsignedFiles(held)) return;
    const found = `files with manifest ${toHex(held.manifest)}`;
    findings.add('model-unsigned', 'contraindicated', slot.name, 'no files without a release', found, 'fleet');
  }),
  ofMeasured('release-unknown', ({ slot, held, release }, findings) => {
    if (held.release === null || release !== undefined) return;
    findings.add('release-unknown', 'contraindicated', slot.name, 'a known release', toHex(held.release), 'fleet');
  }),
  ofRelease('release-withdrawn', (release) =>
    release.withdrawn ? ['a release that is not withdrawn', `${release.version} (${shortHex(release.id)})`] : null,
  ),
  ofMeasured('release-lapsed', ({ slot, release }, findings) => {
    for (const { rule, expected, found } of release?.lapsed ?? []) {
      findings.add(rule, 'warning', slot.name, expected, found, 'fleet');
    }
  }),
  ofRelease('release-role', (release, { slot }) =>
    release.slotRole === slot.role ? null : [`role ${slot.role}`, `role ${release.slotRole}`],
  ),
  ofRelease('release-model', (release, { slot }) =>
    slot.modelIds.includes(release.modelId) ? null : [`one of ${slot.modelIds.join(', ')}`, release.modelId],
  ),
  ofRelease('release-hardware', (release, _slot, { input }) => {
    const { hardwareClass } = input.reference.profile;
    return release.hardwareClass.includes(hardwareClass)
      ? null
      : [`made for ${hardwareClass}`, `made for ${release.hardwareClass.join(', ')}`];
  }),
  ofRelease('release-change', (release, { slot }) => {
    const fault = unplanned(slot, release);
    return fault === null ? null : [fault.expected, fault.found];
  }),
  ofRelease('model-statement', (release, { held }) =>
    sameBytes(release.statement, held.statement) ? null : [toHex(release.statement), hexOrAbsent(held.statement)],
  ),
  ofMeasured('model-bytes', (measured, findings) => {
    if (hasWrongBytes(measured.held, measured.release)) addWrongFiles(measured, findings);
  }),
  ofMeasured('config-bytes', ({ slot, held }, findings) => {
    if (!hasWrongConfigs(held, slot)) return;
    const texts = [hexOrAbsent(slot.configs), hexOrAbsent(held.configs)] as const;
    findings.add('config-bytes', 'contraindicated', slot.name, ...texts, 'profile');
  }),
  ofMeasured('changed-since-boot', ({ slot, held, release }, findings, { input, state }) => {
    if (!held.wasWrong || isWrong(held, slot, release, input.reference.profile.hardwareClass)) return;
    const engine = state.engines?.find((one) => one.slot === slot.name);
    if (isEngineWrong(engine, input.reference)) return;
    const expected = 'as signed during the whole of this log';
    const found = 'wrong earlier in this log, right now';
    findings.add('changed-since-boot', 'warning', slot.name, expected, found, release?.signedBy ?? 'profile');
  }),
  {
    name: 'slot-claims',
    run: (context, findings) => {
      for (const { slot, release } of context.claims.slots) {
        const held = heldBy(context, slot)?.release ?? null;
        if (sameBytes(held, release)) continue;
        const expected = `${hexOrAbsent(held)} by the log`;
        findings.add('slot-claims', 'contraindicated', slot, expected, `${hexOrAbsent(release)} claimed`, 'profile');
      }
    },
  },
  {
    name: 'break-glass',
    run: (context, findings) => {
      for (const { slot, found } of glasses(context, (leftMs, allowed) => leftMs <= allowed)) {
        findings.add('break-glass', 'warning', slot, "the controller's word", found, 'profile');
      }
    },
  },
  {
    name: 'break-glass-profile',
    run: (context, findings) => {
      for (const { slot, allowed, found } of glasses(context, (leftMs, most) => leftMs > most)) {
        findings.add('break-glass-profile', 'contraindicated', slot, `at most ${allowed / 1000} s`, found, 'profile');
      }
    },
  },
];

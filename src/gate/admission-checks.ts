// May this signed release go into this slot of this device now? An ordered list of named checks, all of them always asked.
import { timeText } from '../bytes/text.ts';
import type { Profile, SlotProfile } from '../profile/profile.ts';
import type { ReleaseFault } from '../release/judgement.ts';
import { DEFAULT_IGNORES } from '../release/model-files.ts';
import type { Check } from '../release/open-checks.ts';
import type { SignedRelease } from '../release/open.ts';
import { unplanned } from '../release/planned-change.ts';
import type { Trust } from '../release/root.ts';
import { compareVersions } from './version.ts';

/** Everything admission looks at beside the bytes of the model. */
export interface Candidate {
  readonly release: SignedRelease;
  readonly slot: SlotProfile;
  readonly profile: Profile;
  readonly trust: Trust;
  /** Security version of what runs in the slot; 0 when nothing ever ran. */
  readonly running: number;
  /** Device time, ms since 1970: never before what is known to have passed. */
  readonly now: number;
  readonly agentVersion: string;
  /** The release id that the command named; null where nobody named one. */
  readonly named: string | null;
  /** Release id → who withdrew it, as far as this device knows. */
  readonly withdrawn: ReadonlyMap<string, string>;
}

/** What every OMS signer leaves out; the folder of a release holds none of it, and nothing in it goes unread. */
const USUAL_IGNORES: ReadonlySet<string> = new Set([...DEFAULT_IGNORES, 'model.sig']);

/** A rule, and what breaks it: null when nothing does. */
function check(
  rule: ReleaseFault['rule'],
  judge: (candidate: Candidate) => { expected: string; found: string } | null,
): Check<Candidate> {
  return {
    rule,
    judge: (candidate) => {
      const fault = judge(candidate);
      return fault === null ? [] : [{ rule, ...fault }];
    },
  };
}

export const ADMISSION_CHECKS: readonly Check<Candidate>[] = [
  check('release-id', ({ release, named }) =>
    named === null || named === release.id ? null : { expected: `release ${named}`, found: `release ${release.id}` },
  ),
  check('release-withdrawn', ({ release, withdrawn }) => {
    const by = withdrawn.get(release.id);
    return by === undefined ? null : { expected: 'a release that was not withdrawn', found: `withdrawn by ${by}` };
  }),
  check('release-model-id', ({ release, slot }) => {
    const { modelId } = release.passport;
    if (slot.modelIds.includes(modelId)) return null;
    return { expected: `model ${slot.modelIds.join(' or ')}`, found: `model ${modelId}` };
  }),
  check('release-slot-role', ({ release, slot }) => {
    const { slotRole } = release.passport;
    return slotRole === slot.role ? null : { expected: `role ${slot.role}`, found: `role ${slotRole}` };
  }),
  check('release-hardware-class', ({ release, profile }) => {
    const { hardwareClass } = release.passport;
    if (hardwareClass.includes(profile.hardwareClass)) return null;
    return { expected: `hardware class ${profile.hardwareClass}`, found: `for ${hardwareClass.join(', ')}` };
  }),
  check('release-planned-change', ({ release, slot }) => unplanned(slot, release.passport)),
  check('release-agent', ({ release, agentVersion }) => {
    const { minimumAgent } = release.passport;
    const order = compareVersions(agentVersion, minimumAgent);
    // A version that cannot be compared is not known to be enough.
    return order !== null && order >= 0 ? null : { expected: `agent ${minimumAgent} or later`, found: agentVersion };
  }),
  check('release-older', ({ release, running }) => {
    const { securityVersion } = release.passport;
    if (securityVersion >= running) return null;
    return {
      expected: `security version ${running} or higher, as the running release`,
      found: `security version ${securityVersion}`,
    };
  }),
  check('release-not-yet-valid', ({ release, now }) => {
    const { notBefore } = release.passport;
    if (notBefore === null || now >= notBefore) return null;
    return { expected: `${timeText(notBefore)} or later`, found: `${timeText(now)} by the device’s time` };
  }),
  check('release-expired', ({ release, now }) => {
    const { notAfter } = release.passport;
    if (notAfter === null || now <= notAfter) return null;
    return { expected: `${timeText(notAfter)} or earlier`, found: `${timeText(now)} by the device’s time` };
  }),
  check('root-expired', ({ trust, now }) =>
    now <= trust.root.expires
      ? null
      : {
          expected: `a root statement good beyond ${timeText(now)}`,
          found: `one until ${timeText(trust.root.expires)}`,
        },
  ),
  check('release-ignore-paths', ({ release }) => {
    const paths = release.statement.serialization.ignore_paths ?? [];
    const unusual = paths.filter((path) => !USUAL_IGNORES.has(path.replace(/^\.\//, '')));
    if (unusual.length === 0) return null;
    const first = unusual.slice(0, 4).join(', ');
    const words = unusual.length > 4 ? `${first} and ${unusual.length - 4} more` : first;
    return { expected: 'no ignored paths but those of version control and the signature', found: words };
  }),
  check('release-file-kind', ({ release }) =>
    release.statement.serialization.allow_symlinks
      ? { expected: 'a signature that allows no symbolic links', found: 'allow_symlinks: true' }
      : null,
  ),
];

// What `touchstone tpm doctor` looks at once the TPM answers: a list of named checks, each with what is to be done.
import { TPMA_NV } from '../tpm/wire/constants.ts';
import type { TpmSurvey } from '../tpm/survey.ts';
import type { HostFacts } from './tpm-host.ts';

/** stops: the product can't work so. risk: it works, and something that it promises does not hold. note: good to know. */
export type Level = 'stops' | 'risk' | 'note';

export interface Finding {
  /** Stable: scripts may look for it. */
  readonly id: string;
  readonly level: Level;
  readonly found: string;
  /** The exact thing to do; null where there is nothing. */
  readonly todo: string | null;
}

export interface CheckedFacts {
  readonly host: HostFacts;
  readonly survey: TpmSurvey;
  /** Of the profile, where one was given. */
  readonly profile: { readonly eventPcr: number; readonly ownership: 'exclusive' | 'shared' } | null;
}

type Check = (facts: CheckedFacts) => Omit<Finding, 'id'> | null;

/** PCRs that the profiles of this product use when they are not told another. */
const DEFAULT_EVENT_PCR = 13;

/** TPMs that are programs: their secrets are in a file. IBM/SW is swtpm and the reference simulator. */
export function isSoftware({ manufacturer, vendor }: Pick<TpmSurvey, 'manufacturer' | 'vendor'>): boolean {
  return (manufacturer === 'IBM' && vendor.startsWith('SW')) || (manufacturer === 'MSFT' && vendor.startsWith('xCG'));
}

const family: Check = ({ survey }) =>
  survey.family === '2.0'
    ? null
    : {
        level: 'stops',
        found: `this is a TPM of family ${survey.family === '' ? 'unknown' : survey.family}`,
        todo: 'use a TPM 2.0; some TPM 1.2 can be changed by a firmware update of their maker',
      };

const commands: Check = ({ survey }) =>
  survey.missingCommands.length === 0
    ? null
    : {
        level: 'stops',
        found: `the TPM does not implement ${survey.missingCommands.join(', ')}`,
        todo: 'update the firmware of the TPM; without these commands it can’t be used',
      };

const software: Check = ({ survey }) =>
  isSoftware(survey)
    ? {
        level: 'risk',
        found: 'this is a software TPM: whoever is root on its host reads and changes all it holds',
        todo: 'use it for development and tests; on devices use a discrete or firmware TPM',
      }
    : null;

const sha256Bank: Check = ({ survey }) =>
  survey.banks.some(({ hash, pcrs }) => hash === 'sha256' && pcrs.length > 0)
    ? null
    : {
        level: 'stops',
        found: 'the SHA-256 PCR bank is not active',
        todo: 'switch it on in the firmware setup, or run: tpm2_pcrallocate sha256:all && reboot',
      };

const sha1Bank: Check = ({ survey }) =>
  survey.banks.some(({ hash, pcrs }) => hash === 'sha1' && pcrs.length > 0)
    ? {
        level: 'note',
        found: 'the SHA-1 PCR bank is active; nothing here reads it, and each boot event costs time in it',
        todo: 'if nothing else needs it, switch it off in the firmware setup',
      }
    : null;

const leaked: Check = ({ host, survey }) =>
  survey.transient + survey.sessions > 0 && host.kind !== 'tabrmd' && host.path?.path.includes('tpmrm') !== true
    ? {
        level: survey.transient >= 3 || survey.sessions >= 3 ? 'risk' : 'note',
        found: `a process that ended left ${survey.transient} objects and ${survey.sessions} sessions in the TPM`,
        todo: 'nothing if the agent is to use this TPM: it flushes them on start; else: tpm2_flushcontext -t -l -s',
      }
    : null;

const attestationKey: Check = ({ survey }) => {
  if (!('refused' in survey.ak)) return null;
  const { refused } = survey.ak;
  if (refused === 'TPM_RC_BAD_AUTH' && survey.ownership.endorsementAuthSet) {
    return {
      level: 'note',
      found: 'the endorsement hierarchy has an auth value, so the attestation key could not be tried here',
      todo: 'nothing if the agent of this device set it; else enter it in no file: clear the TPM in the firmware setup',
    };
  }
  if (refused === 'TPM_RC_OBJECT_MEMORY' || refused === 'TPM_RC_SESSION_MEMORY') {
    return {
      level: 'stops',
      found: `the TPM is full (${refused}): the attestation key could not be made`,
      todo: 'stop the other programs that use the TPM, or put them and the agent on /dev/tpmrm0',
    };
  }
  return {
    level: 'stops',
    found: `the attestation key (P-256, ECDSA, restricted) could not be made: ${refused}`,
    todo: 'update the firmware of the TPM, and send us the report of: touchstone tpm doctor --report FILE',
  };
};

const akHandle: Check = ({ survey }) =>
  survey.akHandleIsForeign
    ? {
        level: 'note',
        found: 'another program keeps a key where the attestation key would be kept',
        todo: 'nothing: the agent makes the key anew at each start, which costs a moment',
      }
    : null;

const persistentRoom: Check = ({ survey }) =>
  survey.persistentLeft === 0
    ? {
        level: 'note',
        found: 'the TPM has no room for another persistent key',
        todo: 'nothing, or remove unused ones: tpm2_getcap handles-persistent, tpm2_evictcontrol -c HANDLE',
      }
    : null;

const counterRoom: Check = ({ survey }) =>
  survey.countersLeft === 0
    ? {
        level: 'risk',
        found: 'the TPM has no room for another NV counter, which a version floor needs',
        todo: 'remove unused NV indices: tpm2_getcap handles-nv-index, tpm2_nvundefine INDEX',
      }
    : null;

const certificate: Check = ({ survey }) => {
  if ('refused' in survey.ek) return null;
  if (survey.ek.certified) return null;
  return {
    level: 'risk',
    found:
      survey.certificates.length === 0
        ? 'the TPM holds no endorsement certificate'
        : 'no endorsement certificate in the TPM belongs to a key of this TPM',
    todo: 'enrol it by the Name of its endorsement key (touchstone tpm info shows it), read at the device itself',
  };
};

const lockout: Check = ({ survey: { ownership } }) => {
  const { inLockout, failures, maxFailures, recoveryTime } = ownership;
  if (!inLockout && failures === 0) return null;
  const todo = 'find who sends wrong auth values; lift it with: tpm2_dictionarylockout -c (lockout value: -p)';
  return inLockout
    ? { level: 'risk', found: `the TPM is locked after ${failures} wrong auth values; our own keys go on`, todo }
    : {
        level: 'note',
        found: `${failures} of ${maxFailures} wrong auth values until lockout; one is forgotten each ${recoveryTime} s`,
        todo,
      };
};

const ownership: Check = ({ survey, profile }) => {
  const { ownerAuthSet, endorsementAuthSet, lockoutAuthSet } = survey.ownership;
  const set = [
    ...(ownerAuthSet ? ['owner'] : []),
    ...(endorsementAuthSet ? ['endorsement'] : []),
    ...(lockoutAuthSet ? ['lockout'] : []),
  ];
  if (set.length === 3) return null;
  if (set.length === 0) {
    const wanted = profile?.ownership === 'exclusive' ? '; the agent sets them on its first start' : '';
    return {
      level: profile?.ownership === 'exclusive' ? 'note' : 'risk',
      found: `owner, endorsement and lockout have no auth value: any local user of the TPM makes the same attestation key, and may clear the TPM${wanted}`,
      todo: 'have "ownership": "exclusive" in the profile, if no other program owns this TPM',
    };
  }
  return {
    level: 'risk',
    found: `only ${set.join(' and ')} of owner, endorsement and lockout have an auth value`,
    todo: 'if another program set it, give the profile "ownership": "shared"; else clear the TPM in the firmware setup and start again',
  };
};

const clock: Check = ({ survey }) =>
  survey.clock.safe
    ? null
    : {
        level: 'note',
        found: 'the clock of the TPM may repeat up to 4 s: the last shutdown was a power cut',
        todo: 'nothing: it says "safe" again at the next update, within seconds to about an hour of running time',
      };

const eventPcr: Check = ({ survey, profile }) => {
  const pcr = profile?.eventPcr ?? DEFAULT_EVENT_PCR;
  if (!survey.usedPcrs.includes(pcr)) return null;
  return {
    level: 'note',
    found: `PCR ${pcr}, where the events go, was extended since the machine started`,
    todo: `nothing if the agent has run since then; else another program uses it (shim and its MOK use 14, systemd 11 to 13 and 15): choose a PCR that is still zero before the agent's first start`,
  };
};

const resettable: Check = ({ survey }) => {
  const used = survey.usedPcrs.filter((pcr) => pcr === 16 || pcr === 23);
  return used.length === 0
    ? null
    : {
        level: 'note',
        found: `PCR ${used.join(' and ')} is in use, and any local root user can reset it`,
        todo: 'prove nothing by it; profiles refuse it',
      };
};

const rawDevice: Check = ({ host }) =>
  host.path !== null && /\/tpm\d+$/.test(host.path.path)
    ? {
        level: 'risk',
        found: `${host.path.path} goes round the kernel's resource manager: one program at a time, and leftovers of others get in the way`,
        todo: `use --tcti device:${host.path.path.replace('/tpm', '/tpmrm')}`,
      }
    : null;

const users: Check = ({ host }) =>
  host.users.length === 0
    ? null
    : {
        level: 'note',
        found: `other programs have the TPM open: ${host.users.join(', ')}`,
        todo: 'nothing on /dev/tpmrm0; a program on /dev/tpm0 keeps others from starting there',
      };

const certificateWritable: Check = ({ survey }) => {
  const open = survey.nvIndices.filter(
    ({ index, attributes }) =>
      survey.certificates.some((found) => found.index === index) &&
      (attributes & (TPMA_NV.ownerWrite | TPMA_NV.authWrite)) !== 0,
  );
  return open.length === 0
    ? null
    : {
        level: 'note',
        found: 'the endorsement certificate was written by the owner of the TPM, not locked by its maker',
        todo: 'nothing: the controller judges by the certificate’s own signatures',
      };
};

const untried: Check = ({ survey }) =>
  isSoftware(survey)
    ? null
    : {
        level: 'note',
        found: 'this product has been run on software TPMs only: no discrete or firmware TPM was at hand yet',
        todo: 'send us the report of: touchstone tpm doctor --report FILE (it names no secret and not this machine)',
      };

/** In the order of the report. */
export const TPM_CHECKS: Readonly<Record<string, Check>> = {
  family,
  'missing-commands': commands,
  'sha256-bank': sha256Bank,
  'attestation-key': attestationKey,
  'software-tpm': software,
  'endorsement-certificate': certificate,
  ownership,
  lockout,
  leaked,
  'raw-device': rawDevice,
  'counter-room': counterRoom,
  'event-pcr': eventPcr,
  'resettable-pcr': resettable,
  'ak-handle': akHandle,
  'persistent-room': persistentRoom,
  'clock-safe': clock,
  'other-users': users,
  'sha1-bank': sha1Bank,
  'certificate-writable': certificateWritable,
  'untried-hardware': untried,
};

export function runTpmChecks(facts: CheckedFacts): Finding[] {
  return Object.entries(TPM_CHECKS).flatMap(([id, check]) => {
    const finding = check(facts);
    return finding === null ? [] : [{ id, ...finding }];
  });
}

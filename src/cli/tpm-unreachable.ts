// Why a TPM does not answer, and what to do about it: the first reason that the operating system shows.
import type { Finding } from './tpm-checks.ts';
import type { HostFacts } from './tpm-host.ts';
import type { SurveyAnswer } from './tpm-survey-worker.ts';

export type Failed = Exclude<SurveyAnswer, { readonly survey: unknown }>;

type Reason = (host: HostFacts, failed: Failed, user: string) => Omit<Finding, 'level'> | null;

const library: Reason = ({ libraryFault }) =>
  libraryFault === null
    ? null
    : {
        id: 'library',
        found: `libtss2-tctildr is not installed (${libraryFault})`,
        todo: 'install it: apt-get install libtss2-tctildr0 libtss2-tcti-device0 (Debian, Ubuntu), dnf install tpm2-tss (Fedora)',
      };

const noDevice: Reason = ({ kind, path, devices }) => {
  if (kind !== 'device' || path === null || path.exists) return null;
  const other = devices.filter((name) => name.includes('tpmrm'));
  return {
    id: 'device-node',
    found: `${path.path} does not exist`,
    todo:
      other.length > 0
        ? `this machine has ${other.join(', ')}: use --tcti device:${other[0] ?? ''}`
        : 'switch the TPM on in the firmware setup (PTT, fTPM, security device); on boards without it enable the driver (Raspberry Pi: dtoverlay=tpm-slb9670; kernel: CONFIG_TCG_TIS, CONFIG_TCG_CRB); in a container pass --device /dev/tpmrm0; without a TPM start swtpm and use --tcti swtpm:path=SOCKET',
  };
};

const permission: Reason = ({ kind, path }, _, user) => {
  if (kind !== 'device' || path === null || !path.exists || path.usable) return null;
  return {
    id: 'permission',
    found: `${path.path} belongs to group ${path.group}, and user ${user} may not read and write it`,
    todo:
      path.group === 'root' || path.group === '0'
        ? `run as root, or give it to a group: echo 'SUBSYSTEM=="tpmrm", GROUP="tss", MODE="0660"' > /etc/udev/rules.d/60-tpmrm.rules && udevadm trigger`
        : `usermod -aG ${path.group} ${user}, then log in again`,
  };
};

const noSocket: Reason = ({ kind, path }) =>
  kind !== 'swtpm' || path === null || path.exists
    ? null
    : {
        id: 'swtpm-socket',
        found: `${path.path} does not exist: swtpm is not running there`,
        todo: `start it: swtpm socket --tpm2 --tpmstate dir=DIR --server type=unixio,path=${path.path} --ctrl type=unixio,path=${path.path}.ctrl --flags not-need-init,startup-clear`,
      };

const silent: Reason = ({ kind, users }, { code }) =>
  code === 'TPM_TIMEOUT'
    ? {
        id: 'silent',
        found: `the TPM takes commands and does not answer${users.length === 0 ? '' : `; others have it open: ${users.join(', ')}`}`,
        todo:
          kind === 'swtpm'
            ? 'end the other client: swtpm serves one at a time'
            : 'look for "tpm" in dmesg; if the kernel reports time-outs, power the machine off and on (a reboot may not reset the TPM)',
      }
    : null;

const notStarted: Reason = (_, { message }) =>
  message.includes('TPM_RC_INITIALIZE')
    ? {
        id: 'not-started',
        found: 'the TPM has not been started (TPM_RC_INITIALIZE)',
        todo: 'firmware or kernel start a real TPM; start swtpm with --flags not-need-init,startup-clear',
      }
    : null;

const failure: Reason = (_, { message }) =>
  message.includes('TPM_RC_FAILURE') || message.includes('TPM_RC_NEEDS_TEST')
    ? {
        id: 'failure-mode',
        found: 'the TPM is in failure mode: its self-test found a fault',
        todo: 'power the machine off and on; if it comes back, the TPM is broken: replace it',
      }
    : null;

const version12: Reason = (_, { message }) =>
  message.includes('TPM_RC_BAD_TAG')
    ? { id: 'family', found: 'this is a TPM 1.2, or no TPM at all', todo: 'use a TPM 2.0' }
    : null;

const busy: Reason = ({ kind, path, users }) =>
  kind === 'device' && path !== null && path.usable && users.length > 0 && /\/tpm\d+$/.test(path.path)
    ? {
        id: 'busy',
        found: `${path.path} is held by ${users.join(', ')}`,
        todo: `use --tcti device:${path.path.replace('/tpm', '/tpmrm')}, or end that program`,
      }
    : null;

const broker: Reason = ({ kind }) =>
  kind === 'tabrmd'
    ? {
        id: 'tabrmd',
        found: 'tpm2-abrmd does not answer',
        todo: 'systemctl status tpm2-abrmd; or use the kernel’s own: --tcti device:/dev/tpmrm0',
      }
    : null;

const REASONS: readonly Reason[] = [
  library,
  noDevice,
  permission,
  noSocket,
  busy,
  silent,
  notStarted,
  failure,
  version12,
  broker,
];

/** The one finding that stops everything, with the product's own words for it where the operating system shows no reason. */
export function whyUnreachable(host: HostFacts, failed: Failed, user: string): Finding {
  for (const reason of REASONS) {
    const finding = reason(host, failed, user);
    if (finding !== null) return { ...finding, level: 'stops' };
  }
  const found = [failed.message, ...failed.causes].join(': ');
  return {
    id: 'unreachable',
    level: 'stops',
    found,
    todo: 'check the TCTI configuration (examples: device:/dev/tpmrm0, swtpm:path=SOCKET, tabrmd), and that the TPM is there',
  };
}

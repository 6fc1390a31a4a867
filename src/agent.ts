// touchstone/agent: for programs on a device that load models: may this one be loaded now, and where does it lie.
// The agent itself is no library: it ends its process when it cannot be sure of the TPM, and a supervisor starts it again.
export { askSlot, judgeNow, readStatus, slotModel } from './agent/slot-answers.ts';
export type { AgentStatus, SlotAnswer, SlotStatus } from './agent/status.ts';
export type { SlotUse } from './agent/slot-policy.ts';

// Whether a release is a change that the profile's change control plan foresees (FDA, PCCP): asked by gate and verifier alike.

/** What was expected and found; null: the plan foresees it, or there is no plan. */
export function unplanned(
  { plannedChanges }: { readonly plannedChanges?: readonly string[] },
  { pccpChangeId }: { readonly pccpChangeId?: string },
): { readonly expected: string; readonly found: string } | null {
  if (plannedChanges === undefined || (pccpChangeId !== undefined && plannedChanges.includes(pccpChangeId)))
    return null;
  return { expected: `planned change ${plannedChanges.join(' or ')}`, found: pccpChangeId ?? 'none named' };
}

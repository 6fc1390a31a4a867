/* acceptance.pml: challenge, evidence, acceptance as src/controller does it with any number of controllers on one registry.
 *
 * A challenge lives as long as the policy says, or, when it travels in a bundle, as long as was sealed with it.
 * Each controller holds the device's row in memory (Roster), perhaps an old one; it asks from a fresh copy, judges by the one in memory,
 * and what counts is the registry's compare-and-set (Registry.accept). The broker keeps every evidence and delivers it any time, any
 * number of times, to any controller. Controller 1's clock is SKEW ahead. The device answers any challenge, reboots, and records events.
 * Properties: 1 each challenge is accepted at most once
 *             2 log state never goes back, mixes no epochs, has no gap
 *             3 a newer verdict is of newer evidence
 *             4 nothing older than the life of its challenge and twice the skew is judged good
 *             5 from every state one undisturbed round by any controller succeeds
 * -D<NAME>=0 takes a rule away.
 * names:
 *   SUPERSEDED = 'superseded' in src/verifier/checks/asked.ts
 *   LATE = 'late' in src/verifier/checks/asked.ts
 *   VALID_FOR = challenge.validFor in src/verifier/checks/asked.ts
 *   STARTS = mayStartAt in src/verifier/checks/explained.ts
 *   COMPARE_AND_SET = generation: one.generation in src/controller/sqlite-registry.ts
 *   accept = accept( in src/controller/intake.ts
 *   REFRESH = roster.refresh in src/controller/intake.ts
 *   refresh = refresh( in src/controller/roster.ts
 *   ASK_FRESH = roster.refresh in src/controller/challenger.ts
 *   issue = sealChallenge in src/controller/challenger.ts
 *   judge = judge( in src/controller/intake.ts
 *   answer = firstRecord in src/agent/evidence-maker.ts
 */
#ifndef PROP
#define PROP 0
#endif
#define CHECK(n, c) assert((PROP != 0 && PROP != n) || (c))
#ifndef SUPERSEDED
#define SUPERSEDED 1
#endif
#ifndef LATE
#define LATE 1
#endif
#ifndef VALID_FOR      /* the life of a challenge is under its MAC: who carries it cannot lengthen it */
#define VALID_FOR 1
#endif
#ifndef COMPARE_AND_SET
#define COMPARE_AND_SET 1
#endif
#ifndef ASK_FRESH
#define ASK_FRESH 1
#endif
#ifndef REFRESH
#define REFRESH 1
#endif
#ifndef SKEW
#define SKEW 1
#endif
#define MAXSKEW 1
#define MAXAGE 1
#define LONG 2
#define EVER 90
#ifndef TMAX
#define TMAX 4
#endif
#define NC 3   /* two challenges, and one for the probe */
#define NE 3
#define NONE 99
/* registry row */
byte gen, rep = 1, rseq;
/* what each controller remembers of it */
byte mgen[2], mep[2] = 1, mseq[2];
/* device */
byte dep = 1, dseq, quotes;
/* challenges: issuedAt, generation, epoch, afterSeq, life; ghost: times accepted */
byte nc; byte ci[NC], cg[NC], ce[NC], ca[NC], cl[NC] = MAXAGE, cacc[NC];
/* evidences: challenge, epoch, records from..to; ghosts: order of quoting, true time */
byte ne; byte ec[NE], ee[NE], ef[NE], et[NE], eo[NE], en[NE];
/* judged, and not yet accepted: evidence, generation that the row must still have */
byte jk[2] = NONE; byte jg[2];
byte now = 1, newest;

#define CLOCK(i) (now + ((i) == 1 -> SKEW : 0))
inline refresh(i) { mgen[i] = gen; mep[i] = rep; mseq[i] = rseq }
inline issue(i, k) { if :: ASK_FRESH -> refresh(i) :: else fi; ci[k] = CLOCK(i); cg[k] = mgen[i]; ce[k] = mep[i]; ca[k] = mseq[i] }
inline answer(k, v) { ec[v] = k; ee[v] = dep; et[v] = dseq; quotes++; eo[v] = quotes; en[v] = now;
  if :: ce[k] == dep && ca[k] <= dseq -> ef[v] = ca[k] :: else -> ef[v] = 0 fi }
#define LIFE(v) (VALID_FOR -> cl[ec[v]] : EVER)
#define AGED(i,v) ((!LATE || ci[ec[v]] + LIFE(v) >= CLOCK(i)) && (ci[ec[v]] <= CLOCK(i) + MAXSKEW))
#define CURRENT(i,v) (!SUPERSEDED || cg[ec[v]] == mgen[i])
/* a log goes on where the row ends, in its epoch, or begins at zero */
#define STARTS(i,v) (ef[v] == 0 || (ef[v] == mseq[i] && ce[ec[v]] == mep[i] && ee[v] == mep[i]))
#define GOOD(i,v) (AGED(i,v) && CURRENT(i,v) && STARTS(i,v))
inline judge(i, v) {
  if :: REFRESH && AGED(i,v) && !CURRENT(i,v) -> refresh(i) :: else fi;
  if :: GOOD(i,v) -> CHECK(4, en[v] + cl[ec[v]] + 2 * MAXSKEW >= now); jk[i] = v; jg[i] = mgen[i] :: else fi }
inline accept(i) {
  if :: !COMPARE_AND_SET || jg[i] == gen ->
       cacc[ec[jk[i]]]++;
       CHECK(1, cacc[ec[jk[i]]] <= 1);
       CHECK(2, ee[jk[i]] > rep || (ee[jk[i]] == rep && et[jk[i]] >= rseq && ef[jk[i]] <= rseq));
       CHECK(3, eo[jk[i]] > newest);
       gen++; rep = ee[jk[i]]; rseq = et[jk[i]]; newest = eo[jk[i]]; refresh(i)
     :: else -> refresh(i) fi; jk[i] = NONE; jg[i] = 0 }
inline forget() { ci[NC-1] = 0; cg[NC-1] = 0; ce[NC-1] = 0; ca[NC-1] = 0; ec[NE-1] = 0; ee[NE-1] = 0; ef[NE-1] = 0; et[NE-1] = 0; eo[NE-1] = 0; en[NE-1] = 0; quotes-- }

active proctype World() {
  byte a, b, c;
  do
  :: d_step { nc < NC-1 -> issue(0, nc); nc++ }
  :: d_step { nc < NC-1 -> issue(1, nc); nc++ }
  :: d_step { nc < NC-1 -> issue(0, nc); cl[nc] = LONG; nc++ }
  :: d_step { ne < NE-1 && nc > 0 -> answer(0, ne); ne++ }
  :: d_step { ne < NE-1 && nc > 1 -> answer(1, ne); ne++ }
  :: d_step { dseq < 1 -> dseq++ }
  :: d_step { dep < 2 -> dep++; dseq = 0 }
  :: d_step { now < TMAX -> now++ }
  :: d_step { ne > 0 && jk[0] == NONE -> judge(0, 0) }
  :: d_step { ne > 1 && jk[0] == NONE -> judge(0, 1) }
  :: d_step { ne > 0 && jk[1] == NONE -> judge(1, 0) }
  :: d_step { ne > 1 && jk[1] == NONE -> judge(1, 1) }
  :: d_step { jk[0] != NONE -> accept(0) }
  :: d_step { jk[1] != NONE -> accept(1) }
  /* a round that nobody disturbs: asked, answered, judged (the other controller may have moved the row meanwhile: it asks afresh) */
  :: d_step { a = mgen[0]; b = mep[0]; c = mseq[0]; issue(0, NC-1); answer(NC-1, NE-1); CHECK(5, GOOD(0, NE-1) && mgen[0] == gen); forget();
       mgen[0] = a; mep[0] = b; mseq[0] = c; a = 0; b = 0; c = 0 }
  :: d_step { a = mgen[1]; b = mep[1]; c = mseq[1]; issue(1, NC-1); answer(NC-1, NE-1); CHECK(5, GOOD(1, NE-1) && mgen[1] == gen); forget();
       mgen[1] = a; mep[1] = b; mseq[1] = c; a = 0; b = 0; c = 0 }
  od
}

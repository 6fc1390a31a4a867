/* command.pml: commands and reports, as the agent's desk and runner and the controller's office do it.
 *
 * The controller wants commands 1 and 2 done; a message is {id, session, seq}. The broker replays everything. The device: judged, marked
 * as started, carried out, reported, unmarked. It is killed at any step; every start draws a new session. A report is named
 * {session of the start that wrote it, n}; every evidence carries all that are not acknowledged; a result acknowledges, and the broker
 * keeps every result. The attacker puts back an old journal, of any earlier moment.
 * Properties: 1 no command of an old session is carried out
 *             2 without a disk restore each id is carried out at most once
 *             3 no report is dropped before the controller has it
 *             4 the controller never takes a new report for an old one
 *             5 no command is stuck: after an undisturbed exchange it is valid for this session, or will be signed for it
 * Bounds: 3 starts, 4 signatures, 2 places for reports, 1 restore. -D<NAME>=0 takes a rule away.
 * names:
 *   NAMED = session in src/store/journal.ts
 *   STARTED = setStarted in src/agent/command-runner.ts
 *   IDLE = Mailbox in src/agent/agent.ts
 *   JUDGED = desk.judge in src/agent/command-runner.ts
 *   CARRYING_OUT = #carryOut in src/agent/command-runner.ts
 *   REPORTING = #report in src/agent/command-runner.ts
 *   boot = recover( in src/agent/command-runner.ts
 *   report = addReport in src/agent/command-runner.ts
 *   done = #done in src/agent/command-desk.ts
 *   lastSeq = #lastSeq in src/agent/command-desk.ts
 *   SESSION = owner.session in src/agent/command-desk.ts
 *   FRESH_SEQ = #nextSeq in src/controller/sqlite-registry.ts
 *   sign = signStatement in src/controller/command-office.ts
 *   take = reports in src/controller/judging.ts
 *   drop = acknowledge in src/agent/lease-keeper.ts
 *   got = command.seq in src/agent/command-desk.ts
 */
#ifndef PROP
#define PROP 0
#endif
#define CHECK(n,c) assert((PROP != 0 && PROP != n) || (c))
#ifndef NAMED      /* report name = {n} (0) | {session of the start that wrote it, n} (1) | {resetCount, n} (2) */
#define NAMED 1
#endif
#ifndef STARTED     /* "started id" is journalled before executing; on restart it is reported as interrupted, not run again */
#define STARTED 1
#endif
#ifndef FRESH_SEQ     /* also within a session: what evidence shows as passed over (lastSeq >= its seq, no outcome) is signed again */
#define FRESH_SEQ 1
#endif
#ifndef SESSION    /* a command for another session is ignored */
#define SESSION 1
#endif
#ifndef NATT
#define NATT 1
#endif
#define NS 3      /* sessions */
#define NB 3      /* reboots: none here; an agent restart keeps resetCount */
mtype = { IDLE, JUDGED, CARRYING_OUT, REPORTING };
mtype pc = IDLE;
byte session = 1, lastSeq; byte cur;                  /* RAM */
byte done;                                   /* RAM: ids executed in this session, bit mask */
/* disk: two report places, next number, started mark */
byte rs[2], rn[2], ri[2]; byte nx = 1; byte started;
byte is[2], in_[2], ii[2]; byte inx, ist; bit snp; byte att;
/* controller: outcome per id (mask); reports seen as (stamp,n) -> id */
byte out; byte seen[16]; byte ksession = 1, kq;
/* messages on the broker for ever: command i -> (session, seq) newest and one older; results */
byte c1s[3], c1q[3], c2s[3], c2q[3]; byte seqc;
byte aS[4], aN[4]; byte na;                     /* results: acknowledged (stamp, n) */
byte ex[3]; bit restored;
#define ST (NAMED == 1 -> session : 0)
#define KEY(s,n) ((s)*4+(n))
#define HAS_REPORT(x) ((rn[0]!=0 && ri[0]==x) || (rn[1]!=0 && ri[1]==x))
#define BIT(m,x) (((m)>>(x))&1)
inline boot() { lastSeq = 0; cur = 0; done = 0; pc = IDLE; session++; if :: NAMED == 1 -> nx = 1 :: else fi;
  if :: started != 0 && STARTED && !HAS_REPORT(started) -> report(started); started = 0 :: else -> started = 0 fi }
inline report(x) {                                /* the outcome of x goes into the journal */
  if :: rn[0] == 0 -> rs[0] = ST; rn[0] = nx; ri[0] = x; nx++
     :: rn[0] != 0 && rn[1] == 0 -> rs[1] = ST; rn[1] = nx; ri[1] = x; nx++
     :: else fi }
inline take(k) {                                  /* controller reads report place k of an accepted evidence, makes a result */
  if :: rn[k] != 0 ->
       if :: seen[KEY(rs[k],rn[k])] == 0 -> seen[KEY(rs[k],rn[k])] = ri[k]; out = out | (1<<ri[k])
          :: else -> CHECK(4, seen[KEY(rs[k],rn[k])] == ri[k]) fi;
       if :: na < 4 && !((na>0 && aS[0]==rs[k] && aN[0]==rn[k]) || (na>1 && aS[1]==rs[k] && aN[1]==rn[k]) || (na>2 && aS[2]==rs[k] && aN[2]==rn[k])) ->
             aS[na] = rs[k]; aN[na] = rn[k]; na++ :: else fi
     :: else fi }
inline drop(a,k) { if :: rn[k] != 0 && rs[k] == aS[a] && rn[k] == aN[a] -> CHECK(3, BIT(out,ri[k])); rs[k] = 0; rn[k] = 0; ri[k] = 0 :: else fi }
inline sign(x) { c2s[x] = c1s[x]; c2q[x] = c1q[x]; seqc++; c1s[x] = ksession; c1q[x] = seqc }
/* wanted, and (never signed for this session, or seen to be passed over) */
#define WANT(x) (!BIT(out,x) && seqc < 4 && (c1s[x] != ksession || (FRESH_SEQ && kq >= c1q[x])))
#define LIVE(x) (c1s[x] == session && c1q[x] > lastSeq)
inline got(x,s,q) { if :: (!SESSION || s == session) && q > lastSeq -> lastSeq = q; cur = x; CHECK(1, s == session); pc = JUDGED :: else fi }
active proctype World() {
  do
  /* controller */
  :: d_step { WANT(1) -> sign(1) }
  :: d_step { WANT(2) -> sign(2) }
  /* evidence accepted: session, lastSeq, reports. Only between commands: state and reports are of one instant */
  :: d_step { pc == IDLE -> ksession = session; kq = lastSeq; take(0); take(1) }
  /* broker delivers any command ever signed (newest two of each), any time */
  :: d_step { pc == IDLE && c1s[1] != 0 -> got(1, c1s[1], c1q[1]) }
  :: d_step { pc == IDLE && c2s[1] != 0 -> got(1, c2s[1], c2q[1]) }
  :: d_step { pc == IDLE && c1s[2] != 0 -> got(2, c1s[2], c1q[2]) }
  :: d_step { pc == IDLE && c2s[2] != 0 -> got(2, c2s[2], c2q[2]) }
  /* broker delivers any result ever made, any time */
  :: d_step { pc == IDLE && na > 0 -> drop(0,0); drop(0,1) }
  :: d_step { pc == IDLE && na > 1 -> drop(1,0); drop(1,1) }
  :: d_step { pc == IDLE && na > 2 -> drop(2,0); drop(2,1) }
  /* device */
  :: d_step { pc == JUDGED -> if :: BIT(done,cur) || HAS_REPORT(cur) -> cur = 0; pc = IDLE
                              :: else -> if :: STARTED -> started = cur :: else fi; pc = CARRYING_OUT fi }
  :: d_step { pc == CARRYING_OUT -> ex[cur]++; CHECK(2, restored || ex[cur] <= 1); done = done | (1<<cur); pc = REPORTING }
  :: d_step { pc == REPORTING -> report(cur); started = 0; cur = 0; pc = IDLE }
  /* environment */
  :: d_step { session < NS -> boot() }
  :: d_step { NATT > 0 && !snp -> snp = 1; is[0]=rs[0]; is[1]=rs[1]; in_[0]=rn[0]; in_[1]=rn[1]; ii[0]=ri[0]; ii[1]=ri[1]; inx = nx; ist = started }
  :: d_step { snp && att < NATT && session < NS -> att++; restored = 1;
       rs[0]=is[0]; rs[1]=is[1]; rn[0]=in_[0]; rn[1]=in_[1]; ri[0]=ii[0]; ri[1]=ii[1]; nx = inx; started = ist; boot() }
  /* stuck? an evidence was just accepted, so the controller knows session and lastSeq */
  :: d_step { pc == IDLE && ksession == session && kq == lastSeq && seqc < 4 && !BIT(out,1) && !HAS_REPORT(1) ->
       CHECK(5, LIVE(1) || WANT(1)) }
  od
}

import { diagnose, type Patient } from "./diagnose.ts";
import type { Finding } from "./finding.ts";

const MARKS = { ok: "ok      ", warning: "warning ", problem: "PROBLEM " } as const;

/**
 * Runs `haplane doctor`: what of this machine works for haplane, what does not, and what to do.
 *
 * @returns Whether there is no problem; warnings are none.
 */
export async function runDoctor(patient: Patient, out: (text: string) => void): Promise<boolean> {
  const findings = await diagnose(patient);
  for (const finding of findings) out(describe(finding));
  const problems = findings.filter(({ verdict }) => verdict === "problem").length;
  out(
    problems === 0
      ? "\nhaplane can work here.\n"
      : `\n${problems === 1 ? "One problem" : `${problems} problems`} to mend.\n`,
  );
  return problems === 0;
}

function describe({ verdict, what, remedy }: Finding): string {
  const line = `${MARKS[verdict]}${what}\n`;
  return remedy === undefined ? line : `${line}        → ${remedy}\n`;
}

/** What keeps haplane from starting: a port that is taken, a file that cannot be used. The message is all that a person needs; where it was thrown adds nothing. */
export class StartError extends Error {
  override readonly name = "StartError";
}

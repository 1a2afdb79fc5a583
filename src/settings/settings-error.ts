/** Settings that cannot be used; the message names each place, what was found there, and what would be right. */
export class SettingsError extends Error {
  override readonly name = "SettingsError";
}

export const LEVELS = ["debug", "info", "warn", "error", "fatal", "none"] as const;

/** What a script prints. At the level "none" nothing. */
export class Output {
  level = 0;
  #text = "";

  setLevel(name: string): void {
    this.level = LEVELS.indexOf(name.toLowerCase() as (typeof LEVELS)[number]);
    if (this.level < 0) throw new RangeError(`no level ${name}`);
  }

  get isQuiet(): boolean {
    return LEVELS[this.level] === "none";
  }

  print(text: string): void {
    if (!this.isQuiet) this.#text += text;
  }

  log(line: string, level: (typeof LEVELS)[number]): void {
    if (LEVELS.indexOf(level) >= this.level) this.print(`${level.toUpperCase()} ${line}\n`);
  }

  /** What `act` prints is indented by two spaces. */
  indented(act: () => void): void {
    const before = this.take();
    act();
    const inside = this.take();
    const lines = inside === "" ? [] : inside.replace(/\n$/, "").split("\n");
    this.#text = before + lines.map((line) => `  ${line}\n`).join("");
  }

  take(): string {
    const text = this.#text;
    this.#text = "";
    return text;
  }
}

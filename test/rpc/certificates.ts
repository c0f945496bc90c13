import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Certificate {
  readonly key: string;
  readonly cert: string;
}

/** Keys and certificates for one test run, made by the `openssl` of this machine. */
export interface Certificates {
  readonly ca: string;
  readonly server: Certificate;
  /** For the same name as `server`, from the same CA. */
  readonly secondServer: Certificate;
  readonly client: Certificate;
  /** From a CA that nobody trusts. */
  readonly stranger: Certificate;
}

export function makeCertificates(): Certificates {
  const dir = mkdtempSync(join(tmpdir(), "proglog-certificates-"));
  try {
    const openssl = (...args: string[]) =>
      execFileSync("openssl", args, { cwd: dir, stdio: "pipe" });
    const read = (name: string) => readFileSync(join(dir, name), "utf8");
    const makeCa = (name: string) =>
      openssl(
        "req",
        "-x509",
        ...NEW_KEY,
        "-keyout",
        `${name}.key`,
        "-out",
        `${name}.crt`,
        "-days",
        "2",
        "-subj",
        `/CN=${name}`,
      );
    const make = (name: string, ca: string): Certificate => {
      openssl(
        "req",
        ...NEW_KEY,
        "-keyout",
        `${name}.key`,
        "-out",
        `${name}.csr`,
        "-subj",
        `/CN=${name}`,
      );
      openssl(
        "x509",
        "-req",
        "-in",
        `${name}.csr`,
        "-CA",
        `${ca}.crt`,
        "-CAkey",
        `${ca}.key`,
        "-CAcreateserial",
        "-out",
        `${name}.crt`,
        "-days",
        "2",
        "-extfile",
        "names.txt",
      );
      return { key: read(`${name}.key`), cert: read(`${name}.crt`) };
    };
    writeFileSync(join(dir, "names.txt"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n");
    makeCa("ca");
    makeCa("other-ca");
    return {
      ca: read("ca.crt"),
      server: make("server", "ca"),
      secondServer: make("second-server", "ca"),
      client: make("client", "ca"),
      stranger: make("stranger", "other-ca"),
    };
  } finally {
    rmSync(dir, { recursive: true });
  }
}

const NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

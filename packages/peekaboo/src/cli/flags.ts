import { quoted, UserError } from "@peekaboo/files/errors";
import { type Command, Option as CommanderOption } from "commander";
import { takesValue } from "../config/given.js";
import { longFlags, type Option, optionsOf, type Table } from "../config/table.js";

/** Gives `command` a flag for each option of the table, under one heading of its help. */
export function addFlags(command: Command, table: Table, heading = "Options"): void {
  for (const option of optionsOf(table)) {
    const flag = new CommanderOption(option.flags, option.help).helpGroup(`${heading}:`);
    if (takesValue(option)) {
      flag.default(option.default, option.defaultText ?? String(option.default));
      flag.argParser((text, before: unknown) => {
        const value = readValue(command, option, text);
        return option.kind.joined?.(before, value) ?? value;
      });
    }
    command.addOption(flag);
  }
}

/** The options of the table that the command line gives, with their values. */
export function givenFlags(command: Command, table: Table): Map<Option<unknown>, unknown> {
  const given = new Map<Option<unknown>, unknown>();
  for (const option of optionsOf(table)) {
    const attribute = new CommanderOption(option.flags).attributeName();
    if (command.getOptionValueSource(attribute) !== "cli") continue;
    const value: unknown = command.getOptionValue(attribute);
    given.set(option, value === true ? option.bare : value);
  }
  return given;
}

function readValue(command: Command, option: Option<unknown>, text: string): unknown {
  const value = option.kind.fromText(text);
  if (value !== undefined) return value;
  const remedy = option.kind.remedy?.(text);
  throw new UserError({
    operation: command.name(),
    argument: longFlags(option).join("/"),
    expected: option.kind.expected,
    received: quoted(text),
    ...(remedy === undefined ? {} : { remedy }),
  });
}

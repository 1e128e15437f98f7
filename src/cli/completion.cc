#include "cli/completion.h"

#include <CLI/CLI.hpp>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"

namespace spanring::cli {
namespace {

struct Flag {
  std::vector<std::string> names;  // "-d", "--database"
  std::string what;
  bool takes_value = false;
  std::vector<std::string> choices;
};

struct Node {
  std::string path;  // "" of the program, "migrate down"
  std::vector<std::pair<std::string, std::string>> commands;
  std::vector<Flag> flags;
  std::vector<std::string> words;  // What an argument may be.
  bool takes_files = false;
};

// IsMember says so in the name of the type: "TEXT:{auto,always,never}".
std::vector<std::string> ChoicesOf(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  const auto begin = type.find('{');
  const auto end = type.find('}', begin);
  if (begin == std::string::npos || end == std::string::npos) return {};
  return absl::StrSplit(type.substr(begin + 1, end - begin - 1), ',');
}

void Collect(const CLI::App& app, const std::string& path, std::vector<Node>* nodes) {
  Node node{.path = path, .commands = {}, .flags = {}, .words = {}, .takes_files = false};
  for (const CLI::App* below : app.get_subcommands({})) {
    node.commands.emplace_back(below->get_name(), below->get_description());
  }
  for (const CLI::Option* option : app.get_options()) {
    if (!option->nonpositional()) {
      for (const std::string& choice : ChoicesOf(*option)) node.words.push_back(choice);
      node.takes_files = node.takes_files || option->get_single_name() == "FILE";
      continue;
    }
    // Everywhere the same: the program's own stands for all.
    if (!path.empty() && option == app.get_help_ptr()) continue;
    Flag flag{.names = {},
              .what = option->get_description(),
              .takes_value = option->get_items_expected_max() > 0,
              .choices = ChoicesOf(*option)};
    for (const std::string& name : option->get_snames()) flag.names.push_back("-" + name);
    for (const std::string& name : option->get_lnames()) flag.names.push_back("--" + name);
    node.flags.push_back(std::move(flag));
  }
  nodes->push_back(std::move(node));
  for (const CLI::App* below : app.get_subcommands({})) {
    Collect(*below, path.empty() ? below->get_name() : absl::StrCat(path, " ", below->get_name()),
            nodes);
  }
}

// Between single quotes.
std::string Quoted(const std::string& text) {
  return absl::StrCat("'", absl::StrReplaceAll(text, {{"'", "'\\''"}}), "'");
}

std::vector<std::string> NamesOf(const std::vector<Flag>& flags) {
  std::vector<std::string> names;
  for (const Flag& flag : flags) names.insert(names.end(), flag.names.begin(), flag.names.end());
  return names;
}

// Options with a value, by what it may be: `case` branches that set `name` to the words.
std::string ValueBranches(const std::vector<Node>& nodes, const char* indent) {
  std::string text;
  for (const Node& node : nodes) {
    for (const Flag& flag : node.flags) {
      if (!flag.takes_value) continue;
      for (const std::string& name : flag.names) {
        absl::StrAppend(&text, indent, Quoted(absl::StrCat(node.path, ":", name)), ") value=",
                        Quoted(flag.choices.empty() ? "-" : absl::StrJoin(flag.choices, " ")),
                        " ;;\n");
      }
    }
  }
  return text;
}

// Which command the line has come to, for both Bourne shells: an option that the command does not
// know is one of the program's. "-" stands for any value, then files are proposed.
std::string Walk(const std::vector<Node>& nodes) {
  std::string paths;
  for (const Node& node : nodes) {
    if (!node.path.empty()) absl::StrAppend(&paths, paths.empty() ? "" : "|", Quoted(node.path));
  }
  return absl::StrCat(R"(_spanring_value() {
  value=
  case "$1" in
)",
                      ValueBranches(nodes, "    "), R"(  esac
}
# Sets route (the command so far) and value (what the word to come may be, if it is an option's).
_spanring_walk() {
  local word try
  route= value=
  for word in "$@"; do
    if [ -n "$value" ]; then value=; continue; fi
    case "$word" in
      -*) _spanring_value "$route:$word"; [ -n "$value" ] || _spanring_value ":$word" ;;
      *)
        try="${route:+$route }$word"
        case "$try" in
          )",
                      paths, R"() route="$try" ;;
        esac ;;
    esac
  done
}
)");
}

std::string WordBranches(const std::vector<Node>& nodes) {
  std::string text;
  const std::vector<std::string> everywhere = NamesOf(nodes.front().flags);
  for (const Node& node : nodes) {
    std::vector<std::string> words = node.words;
    for (const auto& [name, what] : node.commands) words.push_back(name);
    for (const std::string& name : NamesOf(node.flags)) words.push_back(name);
    if (!node.path.empty()) words.insert(words.end(), everywhere.begin(), everywhere.end());
    absl::StrAppend(&text, "    ", Quoted(node.path), ") words=", Quoted(absl::StrJoin(words, " ")),
                    node.takes_files ? " files=1" : "", " ;;\n");
  }
  return text;
}

std::string Bash(const std::vector<Node>& nodes) {
  return absl::StrCat("# bash completion for spanring: source <(spanring completion bash)\n",
                      Walk(nodes), R"(_spanring() {
  local route value words= files= current="${COMP_WORDS[COMP_CWORD]}"
  _spanring_walk "${COMP_WORDS[@]:1:COMP_CWORD-1}"
  case "$route" in
)",
                      WordBranches(nodes), R"(  esac
  if [ "$value" = - ]; then
    mapfile -t COMPREPLY < <(compgen -f -- "$current")
  elif [ -n "$value" ]; then
    mapfile -t COMPREPLY < <(compgen -W "$value" -- "$current")
  else
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current"
                             [ -z "$files" ] || compgen -f -- "$current")
  fi
}
complete -o filenames -F _spanring spanring
)");
}

std::string Zsh(const std::vector<Node>& nodes) {
  std::string described;
  const auto entry = [](const std::string& name, const std::string& what) {
    return Quoted(absl::StrCat(absl::StrReplaceAll(name, {{":", "\\:"}}), ":", what));
  };
  for (const Node& node : nodes) {
    absl::StrAppend(&described, "    ", Quoted(node.path), ") described=(");
    for (const auto& [name, what] : node.commands) {
      absl::StrAppend(&described, "\n      ", entry(name, what));
    }
    for (const std::string& word : node.words) {
      absl::StrAppend(&described, "\n      ", Quoted(word));
    }
    std::vector<Flag> flags = node.flags;
    if (!node.path.empty()) {
      flags.insert(flags.end(), nodes.front().flags.begin(), nodes.front().flags.end());
    }
    for (const Flag& flag : flags) {
      for (const std::string& name : flag.names) {
        absl::StrAppend(&described, "\n      ", entry(name, flag.what));
      }
    }
    absl::StrAppend(&described, ")", node.takes_files ? " files=1" : "", " ;;\n");
  }
  return absl::StrCat(
      "#compdef spanring\n# zsh completion for spanring: "
      "spanring completion zsh > a folder of $fpath/_spanring\n",
      Walk(nodes), R"(_spanring() {
  local route value files=
  local -a described
  _spanring_walk "${(@)words[2,CURRENT-1]}"
  if [ "$value" = - ]; then _files; return; fi
  if [ -n "$value" ]; then compadd -- ${=value}; return; fi
  case "$route" in
)",
      described, R"(  esac
  _describe spanring described
  if [ -n "$files" ]; then _files; fi
}
if [ "$funcstack[1]" = _spanring ]; then _spanring "$@"; else compdef _spanring spanring; fi
)");
}

std::string FishFlag(const std::string& when, const Flag& flag) {
  std::string line = absl::StrCat("complete -c spanring -n ", Quoted(when));
  for (const std::string& name : flag.names) {
    absl::StrAppend(&line, name.starts_with("--") ? " -l " : " -s ",
                    name.substr(name.starts_with("--") ? 2 : 1));
  }
  if (flag.takes_value) line += flag.choices.empty() ? " -r -F" : " -x";
  if (!flag.choices.empty())
    absl::StrAppend(&line, " -a ", Quoted(absl::StrJoin(flag.choices, " ")));
  return absl::StrCat(line, " -d ", Quoted(flag.what), "\n");
}

std::string Fish(const std::vector<Node>& nodes) {
  std::vector<std::string> first;
  for (const auto& [name, what] : nodes.front().commands) first.push_back(name);
  std::string text = absl::StrCat(
      "# fish completion for spanring: spanring completion fish | source\ncomplete -c spanring -f\n"
      "function __spanring_no_command\n    not __fish_seen_subcommand_from ",
      absl::StrJoin(first, " "), "\nend\n");
  for (const Node& node : nodes) {
    std::vector<std::string> conditions;
    std::vector<std::string> names;
    for (const auto& [name, what] : node.commands) names.push_back(name);
    if (!node.path.empty()) {
      for (const std::string& part : std::vector<std::string>(absl::StrSplit(node.path, ' '))) {
        conditions.push_back("__fish_seen_subcommand_from " + part);
      }
    }
    const std::string here = node.path.empty() ? "true" : absl::StrJoin(conditions, "; and ");
    for (const Flag& flag : node.flags) absl::StrAppend(&text, FishFlag(here, flag));
    const std::string open = node.path.empty()
                                 ? "__spanring_no_command"
                                 : absl::StrCat(here, "; and not __fish_seen_subcommand_from ",
                                                absl::StrJoin(names, " "));
    for (const auto& [name, what] : node.commands) {
      absl::StrAppend(&text, "complete -c spanring -n ", Quoted(open), " -a ", name, " -d ",
                      Quoted(what), "\n");
    }
    if (!node.words.empty()) {
      absl::StrAppend(&text, "complete -c spanring -n ", Quoted(here), " -a ",
                      Quoted(absl::StrJoin(node.words, " ")), "\n");
    }
    if (node.takes_files) absl::StrAppend(&text, "complete -c spanring -n ", Quoted(here), " -F\n");
  }
  return text;
}

}  // namespace

absl::StatusOr<std::string> CompletionFor(const std::string& shell, const CLI::App& app) {
  std::vector<Node> nodes;
  Collect(app, "", &nodes);
  if (shell == "bash") return Bash(nodes);
  if (shell == "zsh") return Zsh(nodes);
  if (shell == "fish") return Fish(nodes);
  return absl::InvalidArgumentError(
      absl::StrCat("no completion for ", shell, ": bash, zsh or fish"));
}

}  // namespace spanring::cli

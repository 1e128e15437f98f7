// What helps a person at the command line: the manual and completion beside the parser, and a word
// where the answer went nowhere.
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "program.h"

namespace spanring::cli {
namespace {

using absl::StrContains;

std::string Contents(const std::string& path) {
  std::ifstream file(path);
  return {(std::istreambuf_iterator<char>(file)), {}};
}

// The commands as the help has them, "" and "migrate down" among them, with their options.
void Collect(const std::string& path, std::vector<std::pair<std::string, std::string>>* helps) {
  std::vector<std::string> arguments = absl::StrSplit(path, ' ', absl::SkipEmpty());
  arguments.emplace_back("--help");
  const std::string help = RunProgram(arguments, {}).out;
  helps->emplace_back(path, help);
  const auto at = help.find("\nSubcommands:\n");
  if (at == std::string::npos) return;
  for (const auto& line : absl::StrSplit(help.substr(at + 14), '\n')) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
    if (words.empty() || line[0] != ' ' || line[2] == ' ') continue;
    Collect(absl::StrCat(path, path.empty() ? "" : " ", words[0]), helps);
  }
}

std::set<std::string> OptionsIn(const std::string& help) {
  std::set<std::string> options;
  static const std::regex kOption("(^|[ ,\n])(--[a-z][a-z-]*)");
  for (std::sregex_iterator it(help.begin(), help.end(), kOption), end; it != end; ++it) {
    options.insert((*it)[2].str());
  }
  return options;
}

// What bash would propose behind these words.
std::vector<std::string> Proposed(const std::string& script, const std::string& words) {
  const std::string command = absl::StrCat(
      "bash -c 'source ", script, "; COMP_WORDS=(", words,
      "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _spanring; printf \"%s\\n\" \"${COMPREPLY[@]}\"'");
  std::string out;
  FILE* pipe = popen(command.c_str(), "r");
  char text[4096];
  while (pipe != nullptr && fgets(text, sizeof(text), pipe) != nullptr) out += text;
  EXPECT_EQ(pclose(pipe), 0) << command;
  return absl::StrSplit(out, '\n', absl::SkipEmpty());
}

TEST(Manual, NamesEveryCommandAndOptionThatHelpKnows) {
  const std::string manual =
      std::regex_replace(Contents(getenv("SPANRING_MANUAL")), std::regex("\\\\-"), "-");
  ASSERT_NE(manual, "");
  // The commands that completion, made of the parser itself, knows.
  std::vector<std::pair<std::string, std::string>> helps;
  const std::string fish = RunProgram({"completion", "fish"}, {}).out;
  std::set<std::string> commands;
  static const std::regex kCommand("-n '__spanring_no_command' -a ([a-z-]+)");
  for (std::sregex_iterator it(fish.begin(), fish.end(), kCommand), end; it != end; ++it) {
    commands.insert((*it)[1].str());
  }
  EXPECT_GT(commands.size(), 20U) << fish;
  for (const std::string& command : commands) Collect(command, &helps);
  helps.emplace_back("", RunProgram({"--help"}, {}).out);
  for (const auto& [path, help] : helps) {
    if (!path.empty()) {
      EXPECT_TRUE(std::regex_search(manual, std::regex("\n\\.B[IR]? \"?" + path + "[ \n\"]")))
          << path;
    }
    for (const std::string& option : OptionsIn(help)) {
      EXPECT_TRUE(StrContains(manual, option)) << path << " " << option;
    }
  }
}

TEST(Completion, BashProposesWhatTheParserTakes) {
  std::string folder = (std::filesystem::temp_directory_path() / "spanring-comp-XXXXXX").string();
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  const std::string script = folder + "/spanring.bash";
  std::ofstream(script) << RunProgram({"completion", "bash"}, {}).out;
  using Words = std::vector<std::string>;
  EXPECT_EQ(Proposed(script, "spanring exp"), Words{"export"});
  EXPECT_EQ(Proposed(script, "spanring export 1 --format j"), Words{"jaeger"});
  EXPECT_EQ(Proposed(script, "spanring --color \"\""), (Words{"auto", "always", "never"}));
  EXPECT_EQ(Proposed(script, "spanring -d list migrate do"), Words{"down"});
  EXPECT_EQ(Proposed(script, "spanring migrate down --drop"), Words{"--drop-data"});
  EXPECT_EQ(Proposed(script, "spanring top --sort p"), Words{"p95"});
  EXPECT_EQ(Proposed(script, "spanring completion f"), Words{"fish"});
  EXPECT_EQ(Proposed(script, "spanring import " + folder + "/span"), Words{script});
  std::filesystem::remove_all(folder);
}

TEST(Output, AFullDiskIsSaid) {
  const std::string command =
      absl::StrCat(getenv("SPANRING_PROGRAM"), " completion bash 2>&1 >/dev/full");
  FILE* pipe = popen(command.c_str(), "r");
  ASSERT_NE(pipe, nullptr);
  char text[4096] = "";
  EXPECT_NE(fgets(text, sizeof(text), pipe), nullptr);
  EXPECT_EQ(WEXITSTATUS(pclose(pipe)), 1);
  EXPECT_STREQ(text, "spanring: cannot write to standard output: No space left on device\n");
}

}  // namespace
}  // namespace spanring::cli

//! The rules: their names, and what each is about.

/// What a Dockerfile had better not do, whoever does it.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    pub name: &'static str,
    pub description: &'static str,
    /// The last part of its page's address.
    page: &'static str,
}

impl Rule {
    /// `page` is the last part of the address of its page.
    pub const fn new(name: &'static str, page: &'static str, description: &'static str) -> Rule {
        Rule { name, description, page }
    }

    /// Where the rule is explained.
    pub fn url(&self) -> String {
        format!("https://docs.docker.com/go/dockerfile/rule/{}/", self.page)
    }
}

const fn rule(name: &'static str, page: &'static str, description: &'static str) -> Rule {
    Rule::new(name, page, description)
}

pub(super) static STAGE_NAME_CASING: Rule =
    rule("StageNameCasing", "stage-name-casing", "Stage names should be lowercase");
pub(super) static FROM_AS_CASING: Rule =
    rule("FromAsCasing", "from-as-casing", "The 'as' keyword should match the case of the 'from' keyword");
pub(super) static EMPTY_CONTINUATION: Rule = rule(
    "NoEmptyContinuation",
    "no-empty-continuation",
    "Empty continuation lines will become errors in a future release",
);
pub(super) static INSTRUCTION_CASING: Rule = rule(
    "ConsistentInstructionCasing",
    "consistent-instruction-casing",
    "All commands within the Dockerfile should use the same casing (either upper or lower)",
);
pub(super) static DUPLICATE_STAGE: Rule =
    rule("DuplicateStageName", "duplicate-stage-name", "Stage names should be unique");
pub(super) static RESERVED_STAGE: Rule =
    rule("ReservedStageName", "reserved-stage-name", "Reserved words should not be used as stage names");
pub(super) static JSON_ARGS: Rule = rule(
    "JSONArgsRecommended",
    "json-args-recommended",
    "JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS signals",
);
pub(super) static MAINTAINER: Rule = rule(
    "MaintainerDeprecated",
    "maintainer-deprecated",
    "The MAINTAINER instruction is deprecated, use a label instead to define an image author",
);
pub(super) static UNDEFINED_ARG_IN_FROM: Rule =
    rule("UndefinedArgInFrom", "undefined-arg-in-from", "FROM command must use declared ARGs");
pub(super) static RELATIVE_WORKDIR: Rule = rule(
    "WorkdirRelativePath",
    "workdir-relative-path",
    "Relative workdir without an absolute workdir declared within the build can have unexpected results if the base image changes",
);
pub(super) static UNDEFINED_VARIABLE: Rule =
    rule("UndefinedVar", "undefined-var", "Variables should be defined before their use");
pub(super) static MULTIPLE: Rule = rule(
    "MultipleInstructionsDisallowed",
    "multiple-instructions-disallowed",
    "Multiple instructions of the same type should not be used in the same stage",
);
pub(super) static LEGACY_KEY_VALUE: Rule = rule(
    "LegacyKeyValueFormat",
    "legacy-key-value-format",
    "Legacy key/value format with whitespace separator should not be used",
);
pub(super) static REDUNDANT_PLATFORM: Rule = rule(
    "RedundantTargetPlatform",
    "redundant-target-platform",
    "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior",
);
pub(super) static SECRETS: Rule = rule(
    "SecretsUsedInArgOrEnv",
    "secrets-used-in-arg-or-env",
    "Sensitive data should not be used in the ARG or ENV commands",
);
pub(super) static INVALID_DEFAULT: Rule = rule(
    "InvalidDefaultArgInFrom",
    "invalid-default-arg-in-from",
    "Default value for global ARG results in an empty or invalid base image name",
);
pub(super) static CONSTANT_PLATFORM: Rule = rule(
    "FromPlatformFlagConstDisallowed",
    "from-platform-flag-const-disallowed",
    "FROM --platform flag should not use a constant value",
);
pub(super) static COPY_IGNORED: Rule =
    rule("CopyIgnoredFile", "copy-ignored-file", "Attempting to Copy file that is excluded by .dockerignore");
pub(super) static EXPOSE_CASING: Rule =
    rule("ExposeProtoCasing", "expose-proto-casing", "Protocol in EXPOSE instruction should be lowercase");
pub(super) static EXPOSE_FORMAT: Rule = rule(
    "ExposeInvalidFormat",
    "expose-invalid-format",
    "IP address and host-port mapping should not be used in EXPOSE instruction. This will become an error in a future release",
);

"""The small vision-language-action model that ships with the package."""

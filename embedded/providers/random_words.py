"""Words for ``RandomPet``: adverbs, adjectives, animals."""

from typing import Final


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


ADVERBS: Final = _words(
    """
    amply boldly briefly brightly busily calmly clearly closely daily deeply directly early easily evenly fairly firmly fully
    gently gladly greatly happily highly keenly kindly lightly loudly mostly neatly newly nicely openly plainly quickly quietly
    rarely richly safely slowly smoothly softly surely swiftly truly warmly widely wisely
    """
)
ADJECTIVES: Final = _words(
    """
    able active amber apt awake bold brave brief bright brisk busy calm careful cheerful clear clever cool cosy crisp curious
    daring deep eager early easy fair famous fast fine firm fleet fond frank free fresh gentle glad golden good grand green
    handy happy hardy honest humble keen kind large light lively loyal lucky mellow merry mild modest neat nimble noble open
    patient plain polite proud quick quiet rare ready red rich round safe sharp silver simple smart smooth social solid steady
    strong sunny sweet tall tender tidy true upright vital warm wise witty young
    """
)
ANIMALS: Final = _words(
    """
    adder alpaca ant badger bat bear beaver bee beetle bison boar buck buffalo bug bunny camel carp cat chamois cobra cod colt
    condor coral cow crab crane cricket crow cub deer dingo dog dolphin dove dragon duck eagle eel egret elk ermine falcon fawn
    ferret finch fish flea fly foal fox frog gannet gecko gnat gnu goat goose grouse gull hamster hare hawk hen heron herring
    hippo hornet horse hound ibex iguana jackal jaguar jay kid kite kiwi koala koi krill lamb lark lemur leopard lion lizard
    llama lobster lynx macaw magpie mantis marlin marmot marten mink minnow mole moose moth mouse mule mussel newt octopus orca
    osprey otter owl ox oyster panda panther parrot pelican perch pig pigeon pike plover pony poodle puffin puma pup quail
    rabbit ram raven ray robin rook salmon seal shad shark sheep shrew shrimp skink sloth slug snail snake snipe sole sparrow
    spider squid stag starling stork swan swift tapir teal tern thrush tick tiger toad trout tuna turkey turtle urchin vole
    walrus wasp weasel whale wolf wombat worm wren yak zebra
    """
)
